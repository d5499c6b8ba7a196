/* SPDX-License-Identifier: MIT */
/* After jakesgordon/ruby-sample-daemon#2: the parent ends by _exit(); what it has registered is for the daemon. */
/* finds: nothing */
#include "../program.h"

static void clean_up(void) {
  must(write(STDERR_FILENO, "cleaned up\n", 11) == 11);
}

int main(void) {
  must(atexit(clean_up) == 0);
  pid_t child = fork();
  if (child != 0) {
    wait_for(child);
    _exit(0);
  }
  setsid();
  return 0;
}
