/* SPDX-License-Identifier: MIT */
/* After vmware-archive/runtimes#94: the child waits for a semaphore that a lost thread is to post. */
/* finds: endless-wait */
#include "../program.h"

static sem_t ready;

static void post(void) {
  sem_post(&ready);
}

int main(void) {
  struct stayer worker;
  sem_init(&ready, 0, 0);
  stayer_start(&worker, NULL, post);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    while (sem_wait(&ready) != 0) continue;
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  sem_wait(&ready);
  return 0;
}
