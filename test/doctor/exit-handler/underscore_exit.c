/* SPDX-License-Identifier: MIT */
/* After lxc/lxc#2043: the child ends by _exit(). */
/* finds: nothing */
#include "../program.h"

static void clean_up(void) {
  must(write(STDERR_FILENO, "cleaned up\n", 11) == 11);
}

int main(void) {
  must(atexit(clean_up) == 0);
  fork_once(go_on);
  return 0;
}
