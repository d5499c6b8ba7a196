/* SPDX-License-Identifier: MIT */
/* After mogilefs/MogileFS-Server#27: without a new seed, drand48() says the same in both. */
/* finds: same-random */
#include "draw.h"

static void print(const char *who) {
  printf("%s %f\n", who, drand48());
}

int main(void) {
  srand48(time(NULL));
  return draw_in_both(print);
}
