/* SPDX-License-Identifier: MIT */
/* After OpenMathLib/OpenBLAS#5520: a thread has a pool's mutex as the process forks, and the child waits for it. */
/* finds: dead-lock */
#include "../mutex.h"

int main(void) {
  fork_beside(take, give, use_or_hang);
  return 0;
}
