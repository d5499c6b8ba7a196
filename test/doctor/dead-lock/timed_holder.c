/* SPDX-License-Identifier: MIT */
/* After gperftools/gperftools#178: the holder got the mutex by pthread_mutex_timedlock(). */
/* finds: dead-lock */
#include "../mutex.h"

static void take_in_time(void) {
  struct timespec limit;
  clock_gettime(CLOCK_REALTIME, &limit);
  limit.tv_sec += HANGS;
  must(pthread_mutex_timedlock(&lock, &limit) == 0);
}

int main(void) {
  fork_beside(take_in_time, give, use_or_hang);
  return 0;
}
