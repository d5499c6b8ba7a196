/* SPDX-License-Identifier: MIT */
/* After fuzzball-muck/fuzzball#58: as a worker ends, the handler of SIGCHLD makes the next one. */
/* finds: signal-fork */
#include "../program.h"

static volatile pid_t next;

static void lock(void) {
}

static void respawn(int signal) {
  (void)signal;
  if (next != 0) return;
  pid_t child = fork();
  if (child == 0) _exit(0);
  next = child;
}

int main(void) {
  sigset_t set, old;
  must(pthread_atfork(lock, lock, lock) == 0);
  signal(SIGCHLD, respawn);
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, &old);
  pid_t worker = fork();
  if (worker == 0) _exit(0);
  while (next == 0) sigsuspend(&old);
  sigprocmask(SIG_SETMASK, &old, NULL);
  wait_for(worker);
  wait_for(next);
  return 0;
}
