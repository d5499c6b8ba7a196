/* SPDX-License-Identifier: MIT */
/* The interfaces of CUDA's driver and runtime, as far as the programs here call them; there is no device. */
/* builds: library */
#include "../program.h"

int cuInit(unsigned);
int cuDriverGetVersion(int *);
int cuDeviceGetCount(int *);
int cudaFree(void *);
int cudaMalloc(void **, size_t);

int cuInit(unsigned flags) {
  return (int)flags;
}

int cuDriverGetVersion(int *version) {
  *version = 12000;
  return 0;
}

int cuDeviceGetCount(int *count) {
  *count = 0;
  return 0;
}

int cudaFree(void *memory) {
  return memory == NULL ? 0 : 1;
}

int cudaMalloc(void **memory, size_t size) {
  *memory = NULL;
  return size == 0 ? 0 : 2;
}
