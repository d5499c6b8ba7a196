/* SPDX-License-Identifier: MIT */
/* After google/sanitizers#468: clone3() by its number makes a child that no fork handler knows of. */
/* finds: missed-handler */
#include "../program.h"

#include <linux/sched.h>

static void reset(void) {
}

int main(void) {
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  must(pthread_atfork(NULL, NULL, reset) == 0);
  pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) {
    go_on();
    _exit(0);
  }
  if (child == -1 && errno == ENOSYS) return CANNOT_RUN;
  wait_for(child);
  return 0;
}
