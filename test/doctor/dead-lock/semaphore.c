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

static void hang(void) {
  alarm(HANGS);
  while (sem_wait(&lock) != 0) continue;
}

int main(void) {
  sem_init(&lock, 0, 1);
  fork_beside(take, give, hang);
  return 0;
}
