/* SPDX-License-Identifier: MIT */
/* After h2oai/datatable#1758: the parent wakes the child, which waits by a futex in memory that they share. */
/* finds: note lost-thread */
#include "../program.h"

#include <linux/futex.h>
#include <stdatomic.h>

int main(void) {
  struct stayer other;
  _Atomic int *result = share(sizeof *result);
  stayer_start(&other, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    while (atomic_load(result) == 0) syscall(SYS_futex, result, FUTEX_WAIT, 0, NULL, NULL, 0);
    _exit(0);
  }
  struct timespec longer = {.tv_sec = 1, .tv_nsec = 300000000}; /* than the tool looks on */
  nanosleep(&longer, NULL);
  atomic_store(result, 1);
  syscall(SYS_futex, result, FUTEX_WAKE, 1, NULL, NULL, 0);
  must(wait_for(child) == 0);
  stayer_end(&other);
  return 0;
}
