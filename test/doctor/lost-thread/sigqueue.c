/* SPDX-License-Identifier: MIT */
/* After DataDog/dd-trace-py#16545: the signal for the thread carries a value. */
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
    pthread_sigqueue(worker.thread, SIGUSR1, (union sigval){.sival_int = 1});
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  return 0;
}
