/* SPDX-License-Identifier: MIT */
/* After OpenSIPS/opensips#937: the lock is in shared memory; its holder lives on, and gives it back. */
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
  pthread_mutexattr_t shared;
  pthread_mutexattr_init(&shared);
  pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
  lock = share(sizeof *lock);
  pthread_mutex_init(lock, &shared);
  stayer_start(&holder, take, give);
  fork_once(go_on);
  stayer_end(&holder);
  return 0;
}
