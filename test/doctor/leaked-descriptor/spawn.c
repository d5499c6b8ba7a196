/* SPDX-License-Identifier: MIT */
/* After arvidn/libtorrent#7943: posix_spawn() hands down a connection, too. */
/* finds: leaked-descriptor */
#include "../program.h"

#include <spawn.h>

int main(void) {
  int ends[2];
  pid_t child;
  char *arguments[] = {(char[]){"true"}, NULL};
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  must(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, arguments + 1) == 0);
  wait_for(child);
  return 0;
}
