/* SPDX-License-Identifier: MIT */
/* After microsoft/snmalloc#735: all locks are taken before the fork, and released behind it. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;

static void take(void) {
  pthread_mutex_lock(&lock);
  pthread_rwlock_wrlock(&table);
}

static void give(void) {
  pthread_rwlock_unlock(&table);
  pthread_mutex_unlock(&lock);
}

int main(void) {
  struct stayer other;
  must(pthread_atfork(take, give, give) == 0);
  stayer_start(&other, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&other);
  return 0;
}
