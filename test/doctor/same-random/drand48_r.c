/* SPDX-License-Identifier: MIT */
/* After php/php-src#21352: the state of drand48_r() is in the program's memory, and so in both. */
/* finds: same-random */
#include "draw.h"

static struct drand48_data state;

static void print(const char *who) {
  double number;
  must(drand48_r(&state, &number) == 0);
  printf("%s %f\n", who, number);
}

int main(void) {
  srand48_r(time(NULL), &state);
  return draw_in_both(print);
}
