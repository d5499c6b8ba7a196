/* SPDX-License-Identifier: MIT */
/* After amoffat/sh#607: a child handler logs, and waits inside fork() for the lock of the log. */
/* finds: dead-lock */
#include "../mutex.h"

static void end(void) {
}

int main(void) {
  must(pthread_atfork(NULL, NULL, use_or_hang) == 0);
  fork_beside(take, give, end);
  return 0;
}
