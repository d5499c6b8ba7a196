/* SPDX-License-Identifier: MIT */
/* After namhyung/uftrace#230: the buffer goes away with the child's program. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  printf("before the fork\n");
  fork_once(become_true);
  return 0;
}
