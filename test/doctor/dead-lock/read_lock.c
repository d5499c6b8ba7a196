/* SPDX-License-Identifier: MIT */
/* After Snapchat/KeyDB#386: a reader is lost, and the child wants to write. */
/* finds: dead-lock */
#include "../program.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static void take(void) {
  pthread_rwlock_rdlock(&lock);
}

static void give(void) {
  pthread_rwlock_unlock(&lock);
}

static void hang(void) {
  alarm(HANGS);
  pthread_rwlock_wrlock(&lock);
}

int main(void) {
  fork_beside(take, give, hang);
  return 0;
}
