/* SPDX-License-Identifier: MIT */
/* After gperftools/gperftools#335: the handler has jumped back into the program before that forks. */
/* finds: nothing */
#include "../program.h"

#include <setjmp.h>

static sigjmp_buf before;

static void lock(void) {
}

static void jump(int signal) {
  (void)signal;
  siglongjmp(before, 1);
}

int main(void) {
  must(pthread_atfork(lock, lock, lock) == 0);
  signal(SIGUSR1, jump);
  if (sigsetjmp(before, 1) == 0) raise(SIGUSR1);
  fork_once(go_on);
  return 0;
}
