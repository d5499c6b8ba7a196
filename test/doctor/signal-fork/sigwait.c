/* SPDX-License-Identifier: MIT */
/* After mitnk/cicada#38: a thread takes the signals by sigwait(), and forks as any code may. */
/* finds: nothing */
#include "../program.h"

static void lock(void) {
}

static void *respawn(void *set) {
  int which;
  must(sigwait(set, &which) == 0);
  fork_once(go_on);
  return NULL;
}

int main(void) {
  pthread_t thread;
  sigset_t set;
  must(pthread_atfork(lock, lock, lock) == 0);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  must(pthread_create(&thread, NULL, respawn, &set) == 0);
  kill(getpid(), SIGUSR1);
  pthread_join(thread, NULL);
  return 0;
}
