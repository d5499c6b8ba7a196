/* SPDX-License-Identifier: MIT */
/* After logcabin/logcabin#121: a thread had the lock of a stream at the fork, and the child prints to another one. */
/* finds: held-lock */
#include "../program.h"

static FILE *journal;

static void take(void) {
  flockfile(journal);
}

static void give(void) {
  funlockfile(journal);
}

int main(void) {
  must((journal = fopen("/dev/null", "we")) != NULL);
  fork_beside(take, give, go_on);
  return 0;
}
