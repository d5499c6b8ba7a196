/* SPDX-License-Identifier: MIT */
/* After mogilefs/MogileFS-Server#27: without a new seed, drand48() says the same in both. */
/* finds: same-random */
#include "../program.h"

int main(void) {
  srand48(time(NULL));
  pid_t child = fork();
  if (child == 0) {
    printf("child %f\n", drand48());
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %f\n", drand48());
  return 0;
}
