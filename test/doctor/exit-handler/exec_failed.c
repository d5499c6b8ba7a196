/* SPDX-License-Identifier: MIT */
/* After jeremy-rifkin/libassert#42: the program to start is not there, and the child ends by exit(). */
/* finds: exit-handler */
#include "../program.h"

static void clean_up(void) {
  must(write(STDERR_FILENO, "cleaned up\n", 11) == 11);
}

int main(void) {
  must(atexit(clean_up) == 0);
  pid_t child = fork();
  if (child == 0) {
    execl("/nowhere/addr2line", "addr2line", (char *)NULL);
    exit(1);
  }
  wait_for(child);
  return 0;
}
