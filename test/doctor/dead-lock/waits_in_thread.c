/* SPDX-License-Identifier: MIT */
/* After zeromq/libzmq#3223: a thread that the child has started waits for the lock. */
/* finds: dead-lock */
#include "../mutex.h"

static void use_in_thread(void) {
  struct stayer user;
  alarm(HANGS);
  stayer_start(&user, take, give);
}

int main(void) {
  fork_beside(take, give, use_in_thread);
  return 0;
}
