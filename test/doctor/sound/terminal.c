/* SPDX-License-Identifier: MIT */
/* After amoffat/sh#607: the child has a terminal of its own, and is another program. */
/* finds: nothing */
/* links: util */
#include "../program.h"

#include <pty.h>

int main(void) {
  int terminal;
  pid_t child = forkpty(&terminal, NULL, NULL, NULL);
  if (child == 0) {
    execl("/bin/echo", "echo", "hello", (char *)NULL);
    _exit(BROKEN);
  }
  char answer[16];
  must(read(terminal, answer, sizeof answer) > 0);
  wait_for(child);
  return 0;
}
