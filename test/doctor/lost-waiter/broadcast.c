/* SPDX-License-Identifier: MIT */
/* After libuv/libuv#1269: the child wakes all workers of a pool, and there are none. */
/* finds: lost-waiter */
#include "worker.h"

static void wake_all(void) {
  pthread_cond_broadcast(&work);
  go_on();
}

int main(void) {
  fork_beside_worker(wake_all);
  return 0;
}
