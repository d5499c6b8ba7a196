/* SPDX-License-Identifier: MIT */
/* A process that confines itself by seccomp: from then on we make no system call that it may have forbidden. */
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "raw.h"
#include "watch.h"

/* Asks the kernel what this library needs to know, while it may.  In a child of vfork() the memory is its parent's,
 * which is not confined. */
static bool prepare(void) {
  if (watch_log == NULL || self_is_borrowed()) return false;
  self_get();
  threads_know_caller();
  return true;
}

enum confinement confinement_of_prctl(int option, unsigned long mode) {
  if (option != PR_SET_SECCOMP || !prepare()) return CONFINED_NOT;
  return mode == SECCOMP_MODE_STRICT ? CONFINED_STRICTLY : CONFINED_BY_FILTER;
}

enum confinement confinement_of_syscall(long number, const long *args) {
  if (number == SYS_prctl) return confinement_of_prctl((int)args[0], (unsigned long)args[1]);
  if (number != SYS_seccomp || args[0] > SECCOMP_SET_MODE_FILTER || !prepare()) return CONFINED_NOT;
  return args[0] == SECCOMP_SET_MODE_STRICT ? CONFINED_STRICTLY : CONFINED_BY_FILTER;
}
