/* SPDX-License-Identifier: MIT */
/* After daboross/fern#59: the thread that forks has the lock itself, and each side gives it back. */
/* finds: nothing */
#include "../mutex.h"

int main(void) {
  struct stayer other;
  stayer_start(&other, NULL, NULL);
  take();
  pid_t child = fork();
  give();
  if (child == 0) {
    use();
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&other);
  return 0;
}
