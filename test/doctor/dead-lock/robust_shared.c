/* SPDX-License-Identifier: MIT */
/* After FEX-Emu/FEX#2739: the parent's thread unlocks what lies in memory that the child shares. */
/* finds: note lost-thread */
#include "../program.h"

static pthread_mutex_t *mutex;

static void take(void) {
  must(pthread_mutex_lock(mutex) == 0);
}

static void give_back(void) {
  must(pthread_mutex_unlock(mutex) == 0);
}

int main(void) {
  struct stayer holder;
  struct gate waits;
  gate_make(&waits);
  mutex = share(sizeof *mutex);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  must(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  must(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  must(pthread_mutex_init(mutex, &attributes) == 0);
  stayer_start(&holder, take, give_back);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    gate_open(&waits);
    take();
    give_back();
    _exit(0);
  }
  gate_wait(&waits);
  stayer_end(&holder);
  must(wait_for(child) == 0);
  return 0;
}
