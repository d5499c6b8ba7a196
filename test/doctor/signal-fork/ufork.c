/* SPDX-License-Identifier: MIT */
/* After xroche/httrack#968: the handler forks by _Fork(), which POSIX allows there. */
/* finds: nothing */
#include "../program.h"

static void lock(void) {
}

static void report(int signal) {
  (void)signal;
  pid_t child = _Fork();
  if (child == 0) {
    execl("/bin/true", "true", (char *)NULL);
    _exit(BROKEN);
  }
  wait_for(child);
}

int main(void) {
  must(pthread_atfork(lock, lock, lock) == 0);
  signal(SIGSEGV, report);
  raise(SIGSEGV);
  return 0;
}
