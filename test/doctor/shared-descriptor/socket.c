/* SPDX-License-Identifier: MIT */
/* After google/grr#30: workers share one connection, and read each other's answers. */
/* finds: shared-descriptor */
#include "../program.h"

static void ask(int connection) {
  char answer;
  must(write(connection, "q", 1) == 1);
  must(read(connection, &answer, 1) == 1);
}

static void serve(int connection) {
  char question;
  while (read(connection, &question, 1) == 1) must(write(connection, &question, 1) == 1);
  _exit(0);
}

int main(void) {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  pid_t server = fork();
  if (server == 0) {
    close(ends[0]);
    serve(ends[1]);
  }
  close(ends[1]);
  ask(ends[0]);
  pid_t child = fork();
  if (child == 0) {
    ask(ends[0]);
    _exit(0);
  }
  wait_for(child);
  ask(ends[0]);
  close(ends[0]);
  wait_for(server);
  return 0;
}
