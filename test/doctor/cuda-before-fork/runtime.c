/* SPDX-License-Identifier: MIT */
/* After inducer/pycuda#137: the runtime's first call has made a context before the fork; the child allocates in it. */
/* finds: cuda-before-fork */
/* links: cuda */
#include "../program.h"

int cudaFree(void *);
int cudaMalloc(void **, size_t);

int main(void) {
  void *memory;
  must(cudaFree(NULL) == 0);
  pid_t child = fork();
  if (child == 0) {
    cudaMalloc(&memory, 16);
    _exit(0);
  }
  wait_for(child);
  return 0;
}
