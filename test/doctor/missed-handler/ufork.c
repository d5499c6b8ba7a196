/* SPDX-License-Identifier: MIT */
/* After systemd/systemd#28123: _Fork() runs no fork handlers, and the child goes on as if they had run. */
/* finds: missed-handler */
#include "../program.h"

static void reset(void) {
}

int main(void) {
  must(pthread_atfork(NULL, NULL, reset) == 0);
  pid_t child = _Fork();
  if (child == 0) {
    go_on();
    _exit(0);
  }
  wait_for(child);
  return 0;
}
