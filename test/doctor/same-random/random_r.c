/* SPDX-License-Identifier: MIT */
/* After rust-random/rand#1362: the generator is an object, and both sides have a copy of it. */
/* finds: same-random */
#include "draw.h"

static struct random_data generator;
static char state[64];

static void print(const char *who) {
  int32_t number;
  must(random_r(&generator, &number) == 0);
  printf("%s %d\n", who, number);
}

int main(void) {
  must(initstate_r((unsigned)time(NULL), state, sizeof state, &generator) == 0);
  return draw_in_both(print);
}
