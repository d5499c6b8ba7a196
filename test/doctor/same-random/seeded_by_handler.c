/* SPDX-License-Identifier: MIT */
/* After systemd/systemd#14356: a child handler seeds anew. */
/* finds: nothing */
#include "../program.h"

static void seed(void) {
  srand48(getpid());
}

int main(void) {
  must(pthread_atfork(NULL, NULL, seed) == 0);
  seed();
  pid_t child = fork();
  if (child == 0) {
    printf("child %ld\n", lrand48());
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %ld\n", lrand48());
  return 0;
}
