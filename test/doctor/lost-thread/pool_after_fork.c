/* SPDX-License-Identifier: MIT */
/* After collectd/collectd#996: the threads are started in the process that uses them. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  struct stayer worker;
  pid_t child = fork();
  if (child == 0) {
    stayer_start(&worker, NULL, NULL);
    go_on();
    stayer_end(&worker);
    _exit(0);
  }
  wait_for(child);
  return 0;
}
