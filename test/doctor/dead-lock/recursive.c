/* SPDX-License-Identifier: MIT */
/* After greenbone/openvas-scanner#491: the mutex of the log is a recursive one, held twice. */
/* finds: dead-lock */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static void take(void) {
  pthread_mutex_lock(&lock);
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
  pthread_mutex_unlock(&lock);
}

static void hang(void) {
  alarm(HANGS);
  pthread_mutex_lock(&lock);
}

int main(void) {
  fork_beside(take, give, hang);
  return 0;
}
