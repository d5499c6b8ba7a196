/* SPDX-License-Identifier: MIT */
/* After OpenMathLib/OpenBLAS#660: the thread has given the lock back, and lives on. */
/* finds: nothing */
#include "../mutex.h"

static void use_and_go_on(void) {
  use();
  go_on();
}

int main(void) {
  fork_beside(use, use, use_and_go_on);
  return 0;
}
