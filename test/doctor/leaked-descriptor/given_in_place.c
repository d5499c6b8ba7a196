/* SPDX-License-Identifier: MIT */
/* After dfinity/ic#10932: the socket has the number already at which the program expects it, and dup2() leaves it
 * there. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  char answer[6], command[32];
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  snprintf(command, sizeof command, "echo ready >&%d", ends[1]);
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    must(dup2(ends[1], ends[1]) == ends[1]);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(BROKEN);
  }
  close(ends[1]);
  must(read(ends[0], answer, sizeof answer) == sizeof answer);
  wait_for(child);
  return 0;
}
