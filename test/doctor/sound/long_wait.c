/* SPDX-License-Identifier: MIT */
/* After dmtcp/dmtcp#612: a child of a process with threads sleeps long, and its parent wakes it by a pipe. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  struct stayer other;
  struct gate gate;
  gate_make(&gate);
  stayer_start(&other, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    gate_wait(&gate);
    go_on();
    _exit(0);
  }
  /* Longer than one who looks on is patient. */
  nanosleep(&(struct timespec){.tv_sec = 4}, NULL);
  gate_open(&gate);
  must(wait_for(child) == 0);
  stayer_end(&other);
  return 0;
}
