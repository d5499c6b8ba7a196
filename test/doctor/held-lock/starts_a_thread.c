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

int main(void) {
  struct stayer holder, worker;
  pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    stayer_start(&worker, NULL, NULL);
    stayer_end(&worker);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
