/* SPDX-License-Identifier: MIT */
/* After nanvix/nanvix#174: the child ends by _exit(), which flushes nothing. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  printf("before the fork\n");
  pid_t child = fork();
  if (child == 0) _exit(0);
  wait_for(child);
  return 0;
}
