/* SPDX-License-Identifier: MIT */
/* After mojolicious/mojo#402: a number was drawn before the fork, and both sides go on in the same sequence. */
/* finds: same-random */
#include "draw.h"

static void print(const char *who) {
  printf("%s %ld\n", who, random());
}

int main(void) {
  srandom((unsigned)time(NULL));
  print("before");
  fflush(stdout);
  return draw_in_both(print);
}
