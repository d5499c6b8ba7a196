/* SPDX-License-Identifier: MIT */
/* After SYSTRAN/faster-whisper#983: only the child initialises CUDA; its parent asks for the driver's version. */
/* finds: nothing */
/* links: cuda */
#include "../program.h"

int cuInit(unsigned);
int cuDriverGetVersion(int *);
int cuDeviceGetCount(int *);

int main(void) {
  int version, count;
  must(cuDriverGetVersion(&version) == 0);
  pid_t child = fork();
  if (child == 0) {
    must(cuInit(0) == 0 && cuDeviceGetCount(&count) == 0);
    _exit(0);
  }
  wait_for(child);
  return 0;
}
