/* SPDX-License-Identifier: MIT */
/* After copiousfreetime/torid#1: the parent draws before each fork, and the child uses that number. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  srandom((unsigned)time(NULL));
  long number = random();
  pid_t child = fork();
  if (child == 0) {
    printf("child %ld\n", number);
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %ld\n", random());
  return 0;
}
