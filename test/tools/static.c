/* SPDX-License-Identifier: MIT */
/* A program that is linked statically, or with a sanitizer. */
int main(void) {
  return 44;
}
