/* SPDX-License-Identifier: MIT */
/* After vllm-project/vllm#32611: a module has initialised the driver before the fork, and the child uses it. */
/* finds: cuda-before-fork */
/* links: cuda */
#include "../program.h"

int cuInit(unsigned);
int cuDeviceGetCount(int *);

int main(void) {
  int count;
  must(cuInit(0) == 0);
  pid_t child = fork();
  if (child == 0) {
    cuInit(0);
    cuDeviceGetCount(&count);
    _exit(0);
  }
  wait_for(child);
  return 0;
}
