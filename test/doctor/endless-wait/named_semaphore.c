/* SPDX-License-Identifier: MIT */
/* After greenbone/gvmd#2476: the semaphore has a name, and so is for all processes. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  char name[32];
  struct gate waits;
  gate_make(&waits);
  snprintf(name, sizeof name, "/doctor-%d", (int)getpid());
  sem_t *ready = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
  must(ready != SEM_FAILED);
  sem_unlink(name);
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
