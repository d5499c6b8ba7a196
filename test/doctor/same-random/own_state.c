/* SPDX-License-Identifier: MIT */
/* After barracudanetworks/forkdaemon-php#31: the child has a state of its own, with its own seed. */
/* finds: nothing */
#include "../program.h"

static char state[64];

int main(void) {
  srandom(1);
  pid_t child = fork();
  if (child == 0) {
    initstate((unsigned)getpid(), state, sizeof state);
    printf("child %ld\n", random());
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %ld\n", random());
  return 0;
}
