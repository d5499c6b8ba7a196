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

int main(void) {
  struct stayer holder;
  pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    pthread_spin_lock(&lock);
    pthread_spin_unlock(&lock);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
