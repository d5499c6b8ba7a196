/* SPDX-License-Identifier: MIT */
/* After warmcat/libwebsockets#2043: the parent has used the connection before the fork; from then on, it is the child's
 * alone. */
/* finds: nothing */
#include "../program.h"

static void talk(int connection) {
  char byte;
  must(write(connection, "x", 1) == 1 && read(connection, &byte, 1) == 1);
}

int main(void) {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  pid_t server = fork();
  if (server == 0) {
    for (int i = 0; i < 2; ++i) talk(ends[1]);
    _exit(0);
  }
  talk(ends[0]);
  pid_t child = fork();
  if (child == 0) {
    talk(ends[0]);
    _exit(0);
  }
  wait_for(child);
  wait_for(server);
  return 0;
}
