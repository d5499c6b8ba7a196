/* SPDX-License-Identifier: MIT */
/* After microsoft/snmalloc#735: the prepare handler takes the lock, and both sides release it. */
/* finds: nothing */
#include "../mutex.h"

static void use_and_go_on(void) {
  use();
  go_on();
}

int main(void) {
  must(pthread_atfork(take, give, give) == 0);
  fork_beside(use, use, use_and_go_on);
  return 0;
}
