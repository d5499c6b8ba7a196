/* SPDX-License-Identifier: MIT */
/* After gittup/tup#537: a thread of the parent waits, but the child uses another condition variable. */
/* finds: nothing */
#include "worker.h"

static pthread_cond_t other = PTHREAD_COND_INITIALIZER;

static void use_other(void) {
  pthread_cond_signal(&other);
  pthread_cond_destroy(&other);
  go_on();
}

int main(void) {
  fork_beside_worker(use_other);
  return 0;
}
