/* SPDX-License-Identifier: MIT */
/* After libuv/help#16: the name of the program has a number in it, and the program is told of none. */
/* finds: leaked-descriptor */
#include "../program.h"

int main(int count, char **arguments) {
  char name[32];
  if (count > 1) return 0;
  int connection = socket(AF_UNIX, SOCK_STREAM, 0);
  must(connection != -1);
  snprintf(name, sizeof name, "worker-%d", connection);
  pid_t child = fork();
  if (child == 0) {
    execl(arguments[0], name, "again", (char *)NULL);
    _exit(BROKEN);
  }
  must(wait_for(child) == 0);
  return 0;
}
