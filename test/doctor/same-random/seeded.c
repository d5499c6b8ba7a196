/* SPDX-License-Identifier: MIT */
/* After systemd/systemd#14356: the child seeds anew before it draws. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  srandom(1);
  printf("%ld\n", random());
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    srandom((unsigned)getpid());
    printf("child %ld\n", random());
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %ld\n", random());
  return 0;
}
