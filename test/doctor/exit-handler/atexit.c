/* SPDX-License-Identifier: MIT */
/* After ofiwg/libfabric#12671: the child ends by exit(), and cleans up what is its parent's. */
/* finds: exit-handler */
#include "../program.h"

static void clean_up(void) {
  must(write(STDERR_FILENO, "cleaned up\n", 11) == 11);
}

int main(void) {
  must(atexit(clean_up) == 0);
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  return 0;
}
