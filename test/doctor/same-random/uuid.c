/* SPDX-License-Identifier: MIT */
/* After bleargh45/Data-UUID#27: identifiers are made of lrand48()'s numbers, and come out twice. */
/* finds: same-random */
#include "draw.h"

static void print(const char *who) {
  printf("%s %08lx-%04lx-4%03lx\n", who, lrand48(), lrand48() & 0xffff, lrand48() & 0xfff);
}

int main(void) {
  srand48(time(NULL));
  return draw_in_both(print);
}
