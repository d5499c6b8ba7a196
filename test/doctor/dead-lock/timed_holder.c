/* SPDX-License-Identifier: MIT */
/* After gperftools/gperftools#178: the holder got the mutex by pthread_mutex_timedlock(). */
/* finds: dead-lock */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void) {
  struct timespec limit;
  clock_gettime(CLOCK_REALTIME, &limit);
  limit.tv_sec += HANGS;
  must(pthread_mutex_timedlock(&lock, &limit) == 0);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
}

int main(void) {
  struct stayer holder;
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    pthread_mutex_lock(&lock);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
