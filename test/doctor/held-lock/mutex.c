/* SPDX-License-Identifier: MIT */
/* After GrapheneOS/hardened_malloc#319: a thread had a mutex at the fork; the child goes on, and may need it. */
/* finds: held-lock */
#include "../mutex.h"

int main(void) {
  fork_beside(take, give, go_on);
  return 0;
}
