/* SPDX-License-Identifier: MIT */
/* After openSUSE/libzypp#757: the child joins the thread of the log, which older C libraries forget in fork(). */
/* finds: lost-thread or endless-wait */
#include "../program.h"

int main(void) {
  struct stayer worker;
  stayer_start(&worker, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    must(pthread_join(worker.thread, NULL) == 0);
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  return 0;
}
