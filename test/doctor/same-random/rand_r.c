/* SPDX-License-Identifier: MIT */
/* After phusion/passenger#219: each instance has its own seed, and all have the same. */
/* finds: same-random */
#include "../program.h"

static unsigned seed;

int main(void) {
  seed = (unsigned)time(NULL);
  pid_t child = fork();
  if (child == 0) {
    printf("child %d\n", rand_r(&seed));
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %d\n", rand_r(&seed));
  return 0;
}
