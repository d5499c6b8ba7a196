/* SPDX-License-Identifier: MIT */
/* After jemalloc/jemalloc#1805: the lock is a mtx_t of C11. */
/* finds: dead-lock */
#include "../program.h"

#include <threads.h>

static mtx_t lock;

static void take(void) {
  mtx_lock(&lock);
}

static void give(void) {
  mtx_unlock(&lock);
}

static void hang(void) {
  alarm(HANGS);
  mtx_lock(&lock);
}

int main(void) {
  must(mtx_init(&lock, mtx_plain) == thrd_success);
  fork_beside(take, give, hang);
  return 0;
}
