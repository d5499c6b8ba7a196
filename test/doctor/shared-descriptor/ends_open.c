/* SPDX-License-Identifier: MIT */
/* After jleffler/soq#158: nobody closes the end that the other one has, but each uses its own. */
/* finds: nothing */
#include "../program.h"

static void talk(int mine) {
  char byte;
  must(write(mine, "x", 1) == 1);
  must(read(mine, &byte, 1) == 1);
}

int main(void) {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  pid_t child = fork();
  if (child == 0) {
    talk(ends[1]);
    _exit(0);
  }
  talk(ends[0]);
  wait_for(child);
  return 0;
}
