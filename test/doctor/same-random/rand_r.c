/* SPDX-License-Identifier: MIT */
/* After phusion/passenger#219: each instance has its own seed, and all have the same. */
/* finds: same-random */
#include "draw.h"

static unsigned seed;

static void print(const char *who) {
  printf("%s %d\n", who, rand_r(&seed));
}

int main(void) {
  seed = (unsigned)time(NULL);
  return draw_in_both(print);
}
