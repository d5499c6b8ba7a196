/* SPDX-License-Identifier: MIT */
/* After open-mpi/ompi#4351: a named semaphore is taken, and closed; then both processes read. */
/* finds: nothing */
#include "../program.h"

static void take_and_close(void) {
  char name[32];
  snprintf(name, sizeof name, "/atfork-doctor-%d", (int)getpid());
  sem_t *semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
  must(semaphore != SEM_FAILED);
  must(sem_unlink(name) == 0);
  must(sem_wait(semaphore) == 0);
  must(sem_close(semaphore) == 0);
}

int main(void) {
  struct gate gate;
  gate_make(&gate);
  take_and_close();
  pid_t child = fork();
  if (child == 0) {
    go_on();
    gate_open(&gate);
    _exit(0);
  }
  gate_wait(&gate);
  must(wait_for(child) == 0);
  return 0;
}
