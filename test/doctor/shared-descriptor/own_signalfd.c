/* SPDX-License-Identifier: MIT */
/* After sid-project/sid#33: each process makes the descriptor for its own signals. */
/* finds: nothing */
#include "../program.h"

#include <sys/signalfd.h>

static void take_signal(void) {
  sigset_t signals;
  struct signalfd_siginfo info;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  int descriptor = signalfd(-1, &signals, SFD_CLOEXEC);
  must(descriptor != -1 && kill(getpid(), SIGUSR1) == 0);
  must(read(descriptor, &info, sizeof info) == sizeof info);
}

int main(void) {
  take_signal();
  pid_t child = fork();
  if (child == 0) {
    take_signal();
    _exit(0);
  }
  take_signal();
  wait_for(child);
  return 0;
}
