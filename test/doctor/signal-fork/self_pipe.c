/* SPDX-License-Identifier: MIT */
/* After CollaboraOnline/online#11672: the handler only writes into a pipe, and the loop forks. */
/* finds: nothing */
#include "../program.h"

static struct gate gate;

static void note(int signal) {
  (void)signal;
  gate_open(&gate);
}

static void lock(void) {
}

int main(void) {
  must(pthread_atfork(lock, lock, lock) == 0);
  gate_make(&gate);
  signal(SIGUSR1, note);
  raise(SIGUSR1);
  gate_wait(&gate);
  fork_once(go_on);
  return 0;
}
