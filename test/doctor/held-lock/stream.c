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
  struct stayer holder;
  must((journal = fopen("/dev/null", "we")) != NULL);
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
