/* SPDX-License-Identifier: MIT */
/* After microsoft/snmalloc#735: all locks are taken before the fork, and released behind it. */
/* finds: nothing */
#include "../mutex.h"

static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;

static void take_all(void) {
  take();
  pthread_rwlock_wrlock(&table);
}

static void give_all(void) {
  pthread_rwlock_unlock(&table);
  give();
}

int main(void) {
  must(pthread_atfork(take_all, give_all, give_all) == 0);
  fork_beside(NULL, NULL, go_on);
  return 0;
}
