/* SPDX-License-Identifier: MIT */
/* After r-lib/processx#330: the child has one thread, but its signal handler posts the semaphore. */
/* finds: nothing */
#include "../program.h"

static sem_t ready;

static void post(int signal) {
  (void)signal;
  sem_post(&ready);
}

int main(void) {
  struct gate waits;
  gate_make(&waits);
  sem_init(&ready, 0, 0);
  signal(SIGUSR1, post);
  pid_t child = fork();
  if (child == 0) {
    gate_open(&waits);
    while (sem_wait(&ready) != 0) continue;
    go_on();
    _exit(0);
  }
  gate_wait(&waits);
  kill(child, SIGUSR1);
  wait_for(child);
  return 0;
}
