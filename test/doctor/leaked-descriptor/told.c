/* SPDX-License-Identifier: MIT */
/* After systemd/systemd#36899: the child takes FD_CLOEXEC off what is to be handed down, and says its number. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  int ends[2];
  char number[16];
  must(pipe2(ends, O_CLOEXEC) == 0);
  snprintf(number, sizeof number, "%d", ends[1]);
  pid_t child = fork();
  if (child == 0) {
    fcntl(ends[1], F_SETFD, 0);
    execl("/bin/sh", "sh", "-c", "eval \"echo ready >&$0\"", number, (char *)NULL);
    _exit(BROKEN);
  }
  close(ends[1]);
  char answer[6];
  must(read(ends[0], answer, sizeof answer) == sizeof answer);
  wait_for(child);
  return 0;
}
