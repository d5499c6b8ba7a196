/* SPDX-License-Identifier: MIT */
/* After gperftools/gperftools#499: the child waits for the lock with a time limit, in vain, and goes on without. */
/* finds: dead-lock */
#include "../mutex.h"

static void wait_in_vain(void) {
  struct timespec limit;
  clock_gettime(CLOCK_REALTIME, &limit);
  must(pthread_mutex_timedlock(&lock, &limit) == ETIMEDOUT);
}

int main(void) {
  must(fork_beside(take, give, wait_in_vain) == 0);
  return 0;
}
