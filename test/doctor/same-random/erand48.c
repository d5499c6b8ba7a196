/* SPDX-License-Identifier: MIT */
/* After crystal-lang/crystal#1819: the state is an array of the program's own. */
/* finds: same-random */
#include "draw.h"

static unsigned short state[3];

static void print(const char *who) {
  printf("%s %ld\n", who, nrand48(state));
}

int main(void) {
  state[0] = (unsigned short)time(NULL);
  return draw_in_both(print);
}
