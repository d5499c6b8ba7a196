/* SPDX-License-Identifier: MIT */
/* After crystal-lang/crystal#1819: the state is an array of the program's own. */
/* finds: same-random */
#include "../program.h"

static unsigned short state[3];

int main(void) {
  state[0] = (unsigned short)time(NULL);
  pid_t child = fork();
  if (child == 0) {
    printf("child %ld\n", nrand48(state));
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %ld\n", nrand48(state));
  return 0;
}
