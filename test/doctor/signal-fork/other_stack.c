/* SPDX-License-Identifier: MIT */
/* After xroche/httrack#968: the handler runs on a stack of its own. */
/* finds: signal-fork */
#include "../program.h"

static void lock(void) {
}

static void report(int signal) {
  (void)signal;
  pid_t child = fork();
  if (child == 0) _exit(0);
  wait_for(child);
}

int main(void) {
  static char stack[1 << 17];
  must(pthread_atfork(lock, lock, lock) == 0);
  must(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL) == 0);
  must(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = report, .sa_flags = SA_ONSTACK}, NULL) == 0);
  raise(SIGUSR1);
  return 0;
}
