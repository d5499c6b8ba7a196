/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The C library's, where it has one: false from the first pthread_create() on, for good. */
extern char __libc_single_threaded __attribute__((weak));

bool threads_is_first(void) {
  return &__libc_single_threaded != NULL && __libc_single_threaded;
}

/* Fields of /proc/self/stat that follow the name, which is in parentheses, and may have any. */
enum { THREADS_FIELD = 18 };

static long count_in(const char *stat) {
  const char *at = strrchr(stat, ')');
  for (int field = 0; at != NULL && field < THREADS_FIELD; field++) at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtol(at, NULL, 10);
}

static long count(void) {
  char stat[1024];
  int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, stat, sizeof stat - 1);
  close(file);
  if (length < 0) return 0;
  stat[length] = 0;
  return count_in(stat);
}

bool threads_is_one(void) {
  if (threads_is_first()) return true;
  int error = errno;
  bool is_one = count() == 1;
  errno = error;
  return is_one;
}
