/* SPDX-License-Identifier: MIT */
/* After openucx/ucx#8524: vfork(), and posix_spawn(), run no handlers, and need none. */
/* finds: nothing */
#include "../program.h"

#include <spawn.h>

static void reset(void) {
}

int main(void) {
  pid_t child;
  char *arguments[] = {(char[]){"true"}, NULL};
  must(pthread_atfork(reset, reset, reset) == 0);
  child = vfork();
  if (child == 0) {
    execl("/bin/true", "true", (char *)NULL);
    _exit(BROKEN);
  }
  wait_for(child);
  must(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, arguments + 1) == 0);
  wait_for(child);
  return 0;
}
