/* SPDX-License-Identifier: MIT */
/* After libuv/help#16: the program is written to have a socket at this number, and uses it. */
/* finds: nothing */
#include "../program.h"

/* Started again, the program finds the connection where it was. */
int main(int count, char **arguments) {
  enum { HERE = 20 };
  char answer[6];
  int ends[2];
  if (count > 1) return write(HERE, "ready\n", 6) == 6 ? 0 : BROKEN;
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  int connection = fcntl(ends[1], F_DUPFD, HERE);
  must(connection == HERE);
  close(ends[1]);
  pid_t child = fork();
  if (child == 0) {
    execl(arguments[0], arguments[0], "again", (char *)NULL);
    _exit(BROKEN);
  }
  close(connection);
  must(read(ends[0], answer, sizeof answer) == sizeof answer);
  wait_for(child);
  return 0;
}
