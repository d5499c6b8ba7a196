/* SPDX-License-Identifier: MIT */
/* After lxc/lxc#2043: the child ends by _exit(). */
/* finds: nothing */
#include "../program.h"

static void clean_up(void) {
  must(write(STDERR_FILENO, "cleaned up\n", 11) == 11);
}

int main(void) {
  must(atexit(clean_up) == 0);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    _exit(0);
  }
  wait_for(child);
  return 0;
}
