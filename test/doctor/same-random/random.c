/* SPDX-License-Identifier: MIT */
/* After mojolicious/mojo#402: a number was drawn before the fork, and both sides go on in the same sequence. */
/* finds: same-random */
#include "../program.h"

int main(void) {
  srandom((unsigned)time(NULL));
  printf("%ld\n", random());
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    printf("child %ld\n", random());
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %ld\n", random());
  return 0;
}
