/* SPDX-License-Identifier: MIT */
/* After MDSplus/mdsplus#2500: the last thread of the child ends, and that is exit(), too. */
/* finds: exit-handler */
#include "../program.h"

static void clean_up(void) {
  must(write(STDERR_FILENO, "cleaned up\n", 11) == 11);
}

int main(void) {
  must(atexit(clean_up) == 0);
  pid_t child = fork();
  if (child == 0) pthread_exit(NULL);
  wait_for(child);
  return 0;
}
