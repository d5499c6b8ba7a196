/* SPDX-License-Identifier: MIT */
/* After dfinity/ic#10932: the child puts the socket at number 3 for the program, which expects it there. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  pid_t child = fork();
  if (child == 0) {
    int given = dup2(ends[1], 7);
    must(given == 7);
    execl("/bin/sh", "sh", "-c", "echo ready >&7", (char *)NULL);
    _exit(BROKEN);
  }
  close(ends[1]);
  char answer[6];
  must(read(ends[0], answer, sizeof answer) == sizeof answer);
  wait_for(child);
  return 0;
}
