/* SPDX-License-Identifier: MIT */
/* After xroche/httrack#968: a handler for crashes forks to start a program that prints the stack. */
/* finds: signal-fork */
#include "../program.h"

static void lock(void) {
}

static void report(int signal) {
  (void)signal;
  fork_once(become_true);
}

int main(void) {
  must(pthread_atfork(lock, lock, lock) == 0);
  signal(SIGSEGV, report);
  raise(SIGSEGV);
  return 0;
}
