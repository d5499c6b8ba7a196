/* SPDX-License-Identifier: MIT */
#include "vm.h"

#include <ruby.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* The process that this VM began in, or that was told last. */
static pid_t told;

void vm_init(void) {
  told = getpid();
}

/* Each thread of the process has a directory there. */
static bool has_one_thread(void) {
  struct stat tasks;
  return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == 3;
}

/* Ruby asks of whoever forks to call rb_thread_atfork() in the child; few do.  Until then the threads that are gone are
 * listed, hold their locks, and `exit` waits for them; random numbers are the parent's.  A second call changes nothing,
 * as long as there are no other threads: it takes them all for dead. */
void vm_settle(void) {
  if (getpid() == told || !has_one_thread()) return;
  rb_thread_atfork();
  told = getpid();
}
