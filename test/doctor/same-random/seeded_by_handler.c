/* SPDX-License-Identifier: MIT */
/* After systemd/systemd#14356: a child handler seeds anew. */
/* finds: nothing */
#include "draw.h"

static void seed(void) {
  srand48(getpid());
}

static void print(const char *who) {
  printf("%s %ld\n", who, lrand48());
}

int main(void) {
  must(pthread_atfork(NULL, NULL, seed) == 0);
  seed();
  return draw_in_both(print);
}
