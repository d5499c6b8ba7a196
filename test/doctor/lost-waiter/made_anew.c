/* SPDX-License-Identifier: MIT */
/* After Feh/nocache#34: the child makes the condition variable anew before it is used. */
/* finds: nothing */
#include "worker.h"

static void make_anew(void) {
  pthread_cond_init(&work, NULL);
}

int main(void) {
  must(pthread_atfork(NULL, NULL, make_anew) == 0);
  fork_beside_worker(wake_worker);
  return 0;
}
