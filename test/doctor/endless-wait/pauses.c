/* SPDX-License-Identifier: MIT */
/* After rubinius/rubinius#372: the child waits for a signal of its parent's, and not for a thread. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  sigset_t signals;
  int which;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    must(sigwait(&signals, &which) == 0);
    _exit(0);
  }
  kill(child, SIGUSR1);
  wait_for(child);
  return 0;
}
