/* SPDX-License-Identifier: MIT */
/* After jemalloc/jemalloc#2402: the mutex lends its holder a priority, so the kernel has a part in it. */
/* finds: dead-lock */
#include "../program.h"

static pthread_mutex_t lock;

static void take(void) {
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
}

static void hang(void) {
  alarm(HANGS);
  pthread_mutex_lock(&lock);
}

int main(void) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
  if (pthread_mutex_init(&lock, &attributes) != 0) return CANNOT_RUN;
  fork_beside(take, give, hang);
  return 0;
}
