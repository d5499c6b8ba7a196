/* SPDX-License-Identifier: MIT */
/* After pytorch/pytorch#55643: the parent uses CUDA; the child does other work, and another one is another program. */
/* finds: nothing */
/* links: cuda */
#include "../program.h"

int cuInit(unsigned);
int cuDeviceGetCount(int *);

int main(void) {
  int count;
  must(cuInit(0) == 0);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    _exit(0);
  }
  wait_for(child);
  child = fork();
  if (child == 0) {
    execl("/bin/true", "true", (char *)NULL);
    _exit(BROKEN);
  }
  wait_for(child);
  must(cuDeviceGetCount(&count) == 0);
  return 0;
}
