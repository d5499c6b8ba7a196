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

int main(void) {
  struct stayer holder;
  must(mtx_init(&lock, mtx_plain) == thrd_success);
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    mtx_lock(&lock);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
