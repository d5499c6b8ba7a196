/* SPDX-License-Identifier: MIT */
/* After Tarsnap/libcperciva#277: the parent ends by _exit(), so only the child prints the line. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  printf("before the fork\n");
  pid_t child = fork();
  if (child != 0) {
    wait_for(child);
    _exit(0);
  }
  return 0;
}
