/* SPDX-License-Identifier: MIT */
/* After ROCm/rocm-systems#6095: a system call makes the child, so no fork handler runs. */
/* finds: missed-handler */
#include "../program.h"

static pid_t cached;

static void forget(void) {
  cached = 0;
}

int main(void) {
  must(pthread_atfork(NULL, NULL, forget) == 0);
  cached = getpid();
  pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
  if (child == 0) {
    printf("process %d believes that it is %d\n", (int)getpid(), (int)cached);
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  return 0;
}
