/* SPDX-License-Identifier: MIT */
/* clone3(2), which not every C library's headers have. */
#ifndef ATFORK_TEST_CLONE3_H
#define ATFORK_TEST_CLONE3_H

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* As the kernel's struct clone_args. */
struct clone3_arguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

static inline pid_t clone3(const struct clone3_arguments *arguments) {
#ifdef SYS_clone3
  return (pid_t)syscall(SYS_clone3, arguments, sizeof *arguments);
#else
  (void)arguments;
  errno = ENOSYS;
  return -1;
#endif
}

#endif
