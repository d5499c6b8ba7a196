/* SPDX-License-Identifier: MIT */
/* After grpc/grpc#38020: the child spins for a lock whose holder is lost. */
/* finds: dead-lock */
#include "../program.h"

static pthread_spinlock_t lock;

static void take(void) {
  pthread_spin_lock(&lock);
}

static void give(void) {
  pthread_spin_unlock(&lock);
}

static void hang(void) {
  alarm(HANGS);
  pthread_spin_lock(&lock);
}

int main(void) {
  pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
  fork_beside(take, give, hang);
  return 0;
}
