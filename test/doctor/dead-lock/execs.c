/* SPDX-License-Identifier: MIT */
/* After zeromq/libzmq#3531: a thread has a lock, but the child is another program at once. */
/* finds: nothing */
#include "../mutex.h"

int main(void) {
  fork_beside(take, give, become_true);
  return 0;
}
