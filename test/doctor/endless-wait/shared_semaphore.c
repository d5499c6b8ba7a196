/* SPDX-License-Identifier: MIT */
/* After greenbone/gvmd#2476: the semaphore is in shared memory, and the parent posts it. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  sem_t *ready = share(sizeof *ready);
  struct gate waits;
  gate_make(&waits);
  sem_init(ready, 1, 0);
  pid_t child = fork();
  if (child == 0) {
    gate_open(&waits);
    while (sem_wait(ready) != 0) continue;
    go_on();
    _exit(0);
  }
  gate_wait(&waits);
  sem_post(ready);
  wait_for(child);
  return 0;
}
