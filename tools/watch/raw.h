/* SPDX-License-Identifier: MIT */
/* System calls that are not watched, and leave errno alone: a result < 0 is -errno. */
#ifndef ATFORK_WATCH_RAW_H
#define ATFORK_WATCH_RAW_H

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

/* Under seccomp, a call that the program itself does not need may end the process.  Then it is not made. */
enum confinement { CONFINED_NOT, CONFINED_BY_FILTER, CONFINED_STRICTLY };
void raw_confine(enum confinement confinement);
bool raw_is_confined(void);
/* The confinement that follows if this call succeeds. */
enum confinement confinement_of_prctl(int option, unsigned long mode);
enum confinement confinement_of_syscall(long number, const long *args);

/* -EPERM: we are confined. */
long raw_call(long number, long a, long b, long c, long d, long e, long f);

static inline int raw_open(const char *path, int flags) {
  return (int)raw_call(SYS_openat, AT_FDCWD, (long)path, flags, 0, 0, 0);
}

static inline long raw_read(int fd, void *buffer, size_t size) {
  return raw_call(SYS_read, fd, (long)buffer, (long)size, 0, 0, 0);
}

static inline long raw_write(int fd, const void *buffer, size_t size) {
  return raw_call(SYS_write, fd, (long)buffer, (long)size, 0, 0, 0);
}

static inline void raw_close(int fd) {
  raw_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline long raw_readlink(const char *path, char *buffer, size_t size) {
  return raw_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)buffer, (long)size, 0, 0);
}

static inline pid_t raw_getpid(void) {
  return (pid_t)raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline pid_t raw_gettid(void) {
  return (pid_t)raw_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static inline pid_t raw_getppid(void) {
  return (pid_t)raw_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

static inline int raw_tgkill(pid_t pid, pid_t tid, int signal) {
  return (int)raw_call(SYS_tgkill, pid, tid, signal, 0, 0, 0);
}

static inline void raw_futex_wake(_Atomic uint32_t *word) {
  raw_call(SYS_futex, (long)word, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

_Noreturn void raw_exit(int status);

#endif
