/* SPDX-License-Identifier: MIT */
/*
 * Forks that no library knows of: the system calls themselves.
 */
#ifndef ATFORK_TEST_RAW_FORK_H
#define ATFORK_TEST_RAW_FORK_H

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* s390 has the new stack first. */
#ifdef __s390__
enum { CLONE_FLAGS_ARGUMENT = 1 };
#else
enum { CLONE_FLAGS_ARGUMENT = 0 };
#endif

static inline pid_t raw_clone(void) {
  unsigned long arguments[2] = {0};
  arguments[CLONE_FLAGS_ARGUMENT] = SIGCHLD;
  return (pid_t)syscall(SYS_clone, arguments[0], arguments[1], NULL, NULL, 0UL);
}

/* Newer architectures have no such system call, arm64 among them. */
static inline pid_t raw_fork(void) {
#ifdef SYS_fork
  return (pid_t)syscall(SYS_fork);
#else
  return raw_clone();
#endif
}

#endif
