/* SPDX-License-Identifier: MIT */
/* After karafka/rdkafka-ruby#19: a semaphore is the lock. */
/* finds: dead-lock */
#include "../program.h"

static sem_t lock;

static void take(void) {
  sem_wait(&lock);
}

static void give(void) {
  sem_post(&lock);
}

int main(void) {
  struct stayer holder;
  sem_init(&lock, 0, 1);
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    while (sem_wait(&lock) != 0) continue;
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
