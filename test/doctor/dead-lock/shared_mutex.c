/* SPDX-License-Identifier: MIT */
/* After krakjoe/apcu#338: the mutex is in shared memory, and its holder lives on in the parent. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t *lock;

static void take(void) {
  pthread_mutex_lock(lock);
}

static void give(void) {
  pthread_mutex_unlock(lock);
}

int main(void) {
  struct stayer holder;
  struct gate tries;
  pthread_mutexattr_t shared;
  pthread_mutexattr_init(&shared);
  pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
  lock = share(sizeof *lock);
  pthread_mutex_init(lock, &shared);
  gate_make(&tries);
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    gate_open(&tries);
    take();
    go_on();
    give();
    _exit(0);
  }
  gate_wait(&tries);
  stayer_end(&holder);
  wait_for(child);
  return 0;
}
