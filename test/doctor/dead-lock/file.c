/* SPDX-License-Identifier: MIT */
/* After logcabin/logcabin#213: a thread has a stream's lock; _Fork() does not reset it, as fork() does. */
/* finds: dead-lock */
#include "../program.h"

static void take(void) {
  flockfile(stderr);
}

static void give(void) {
  funlockfile(stderr);
}

int main(void) {
  struct stayer holder;
  stayer_start(&holder, take, give);
  pid_t child = _Fork();
  if (child == 0) {
    alarm(HANGS);
    flockfile(stderr);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
