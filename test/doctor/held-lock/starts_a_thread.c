/* SPDX-License-Identifier: MIT */
/* After FEX-Emu/FEX#2739: a thread has a spinlock at the fork; the child goes on by starting a thread of its own. */
/* finds: held-lock */
#include "../program.h"

static pthread_spinlock_t lock;

static void take(void) {
  pthread_spin_lock(&lock);
}

static void give(void) {
  pthread_spin_unlock(&lock);
}

static void start_a_thread(void) {
  struct stayer worker;
  stayer_start(&worker, NULL, NULL);
  stayer_end(&worker);
}

int main(void) {
  pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
  fork_beside(take, give, start_a_thread);
  return 0;
}
