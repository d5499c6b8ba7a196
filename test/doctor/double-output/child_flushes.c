/* SPDX-License-Identifier: MIT */
/* After aws/s2n-tls#3185: the child flushes what it has inherited, together with its own line. */
/* finds: double-output */
#include "../program.h"

int main(void) {
  printf("Running: ");
  pid_t child = fork();
  if (child == 0) {
    printf("in the child\n");
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("passed\n");
  return 0;
}
