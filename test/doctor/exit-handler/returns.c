/* SPDX-License-Identifier: MIT */
/* After solettaproject/soletta#95: the child comes back to main(), whose end is exit(). */
/* finds: exit-handler */
#include "../program.h"

static void clean_up(void) {
  must(write(STDERR_FILENO, "cleaned up\n", 11) == 11);
}

static int work(void) {
  pid_t child = fork();
  if (child != 0) wait_for(child);
  return 0;
}

int main(void) {
  must(atexit(clean_up) == 0);
  return work();
}
