/* SPDX-License-Identifier: MIT */
/* After sisshiki1969/monoruby#1358: the child takes no lock, but its own child does. */
/* finds: dead-lock */
#include "../mutex.h"

static void fork_again(void) {
  fork_once(use_or_hang);
}

int main(void) {
  fork_beside(take, give, fork_again);
  return 0;
}
