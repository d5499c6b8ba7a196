/* SPDX-License-Identifier: MIT */
/* After gperftools/gperftools#499: the child waits for the lock with a time limit, in vain, and goes on without. */
/* finds: dead-lock */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void) {
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
}

int main(void) {
  struct stayer holder;
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    must(pthread_mutex_timedlock(&lock, &limit) == ETIMEDOUT);
    _exit(0);
  }
  must(wait_for(child) == 0);
  stayer_end(&holder);
  return 0;
}
