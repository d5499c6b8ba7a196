/* SPDX-License-Identifier: MIT */
/* After ruby/ruby#13591: to destroy a condition variable is to wait for its waiters, and they are lost. */
/* finds: lost-waiter */
#include "worker.h"

static void destroy(void) {
  alarm(HANGS);
  pthread_cond_destroy(&work);
}

int main(void) {
  fork_beside_worker(destroy);
  return 0;
}
