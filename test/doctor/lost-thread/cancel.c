/* SPDX-License-Identifier: MIT */
/* After Haivision/srt#3179: cleaning up, the child cancels a thread that it does not have. */
/* finds: lost-thread */
#include "../program.h"

int main(void) {
  struct stayer worker;
  stayer_start(&worker, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    pthread_cancel(worker.thread);
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  return 0;
}
