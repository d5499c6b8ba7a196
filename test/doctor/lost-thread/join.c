/* SPDX-License-Identifier: MIT */
/* After openSUSE/libzypp#757: the child joins the thread of the log; fork() has forgotten it, so that returns at once.
 */
/* finds: lost-thread */
#include "../program.h"

int main(void) {
  struct stayer worker;
  stayer_start(&worker, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    must(pthread_join(worker.thread, NULL) == 0);
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  return 0;
}
