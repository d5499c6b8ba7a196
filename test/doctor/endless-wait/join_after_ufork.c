/* SPDX-License-Identifier: MIT */
/* After ovis-hpc/ldms#2367: after _Fork(), which forgets no threads, the child cleans up, and joins one of its
 * parent's. */
/* finds: endless-wait */
#include "../program.h"

int main(void) {
  struct stayer worker;
  stayer_start(&worker, NULL, NULL);
  pid_t child = _Fork();
  if (child == 0) {
    alarm(HANGS);
    pthread_join(worker.thread, NULL);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  return 0;
}
