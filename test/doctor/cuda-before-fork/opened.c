/* SPDX-License-Identifier: MIT */
/* After tensorflow/tensorflow#57877: the driver is opened by dlopen(), as the runtime does it. */
/* finds: cuda-before-fork */
#include "../program.h"

#include <dlfcn.h>

int main(void) {
  int (*init)(unsigned), (*device_count)(int *), count;
  void *cuda = dlopen(BUILD "/libcuda-before-fork-cuda.so", RTLD_NOW);
  must(cuda != NULL);
  *(void **)&init = dlsym(cuda, "cuInit");
  *(void **)&device_count = dlsym(cuda, "cuDeviceGetCount");
  must(init(0) == 0);
  pid_t child = fork();
  if (child == 0) {
    device_count(&count);
    _exit(0);
  }
  wait_for(child);
  return 0;
}
