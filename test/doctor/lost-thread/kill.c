/* SPDX-License-Identifier: MIT */
/* After DataDog/dd-trace-py#16545: the child wants to wake a thread by a signal, and the thread is the parent's. */
/* finds: lost-thread */
#include "../program.h"

static void wake(int signal) {
  (void)signal;
}

int main(void) {
  struct stayer worker;
  signal(SIGUSR1, wake);
  stayer_start(&worker, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    pthread_kill(worker.thread, SIGUSR1);
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  return 0;
}
