/* SPDX-License-Identifier: MIT */
/* After janet-lang/janet#374: the child has a pipe for its standard streams, and nothing else. */
/* finds: nothing */
#include "../program.h"

#include <spawn.h>

int main(void) {
  int ends[2];
  pid_t child;
  posix_spawn_file_actions_t actions;
  char *arguments[] = {(char[]){"echo"}, (char[]){"ready"}, NULL};
  must(pipe2(ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  must(posix_spawn(&child, "/bin/echo", &actions, NULL, arguments, arguments + 2) == 0);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  char answer[6];
  must(read(ends[0], answer, sizeof answer) == sizeof answer);
  wait_for(child);
  return 0;
}
