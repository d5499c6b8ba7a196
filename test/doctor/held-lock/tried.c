/* SPDX-License-Identifier: MIT */
/* After DataDog/dd-trace-php#3058: the child finds the mutex locked, and does without what it guards. */
/* finds: held-lock */
#include "../mutex.h"

static void do_without(void) {
  must(pthread_mutex_trylock(&lock) == EBUSY);
  go_on();
}

int main(void) {
  fork_beside(take, give, do_without);
  return 0;
}
