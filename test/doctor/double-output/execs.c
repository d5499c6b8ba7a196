/* SPDX-License-Identifier: MIT */
/* After namhyung/uftrace#230: the buffer goes away with the child's program. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  printf("before the fork\n");
  pid_t child = fork();
  if (child == 0) {
    execl("/bin/true", "true", (char *)NULL);
    _exit(BROKEN);
  }
  wait_for(child);
  return 0;
}
