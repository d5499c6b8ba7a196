/* SPDX-License-Identifier: MIT */
/* After uuid6/uuid6-ietf-draft#114: each number is asked of the kernel. */
/* finds: nothing */
#include "draw.h"

static void print(const char *who) {
  unsigned key;
  must(getrandom(&key, sizeof key, 0) == sizeof key);
  printf("%s %x %x\n", who, key, arc4random());
}

int main(void) {
  print("before");
  fflush(stdout);
  return draw_in_both(print);
}
