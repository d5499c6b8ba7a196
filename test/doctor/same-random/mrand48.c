/* SPDX-License-Identifier: MIT */
/* After aminalaee/uuid-utils#42: tasks get their numbers from mrand48(), seeded once. */
/* finds: same-random */
#include "draw.h"

static void print(const char *who) {
  printf("%s %ld\n", who, mrand48());
}

int main(void) {
  srand48(time(NULL));
  return draw_in_both(print);
}
