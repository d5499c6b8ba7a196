/* SPDX-License-Identifier: MIT */
/* After aminalaee/uuid-utils#42: tasks get their numbers from mrand48(), seeded once. */
/* finds: same-random */
#include "../program.h"

int main(void) {
  srand48(time(NULL));
  pid_t child = fork();
  if (child == 0) {
    printf("child %ld\n", mrand48());
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %ld\n", mrand48());
  return 0;
}
