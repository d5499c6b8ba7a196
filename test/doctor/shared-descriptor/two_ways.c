/* SPDX-License-Identifier: MIT */
/* After gramineproject/graphene#1417: one process only reads the connection, the other one only writes. */
/* finds: nothing */
#include "../program.h"

static void echo(int connection) {
  char byte;
  while (read(connection, &byte, 1) == 1) must(write(connection, &byte, 1) == 1);
  _exit(0);
}

int main(void) {
  char answer[3];
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  pid_t server = fork();
  if (server == 0) {
    close(ends[0]);
    echo(ends[1]);
  }
  close(ends[1]);
  pid_t reader = fork();
  if (reader == 0) {
    must(recv(ends[0], answer, sizeof answer, MSG_WAITALL) == sizeof answer);
    _exit(0);
  }
  must(write(ends[0], "ask", 3) == 3);
  wait_for(reader);
  close(ends[0]);
  wait_for(server);
  return 0;
}
