/* SPDX-License-Identifier: MIT */
/* After Qihoo360/evpp#56: each process runs a loop of its own, but wakes it by one pipe from before the fork. */
/* finds: shared-descriptor */
#include "../program.h"

static struct gate wake;

static void run_loop(void) {
  gate_open(&wake);
  gate_wait(&wake);
}

int main(void) {
  gate_make(&wake);
  pid_t child = fork();
  if (child == 0) {
    run_loop();
    _exit(0);
  }
  wait_for(child);
  run_loop();
  return 0;
}
