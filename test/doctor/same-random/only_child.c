/* SPDX-License-Identifier: MIT */
/* After dluxhu/perl-parallel-forkmanager#22: one child draws, and nobody else after the fork. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  srand(1);
  printf("%d\n", rand());
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    printf("child %d\n", rand());
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  puts("parent");
  return 0;
}
