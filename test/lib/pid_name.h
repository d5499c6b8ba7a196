/* SPDX-License-Identifier: MIT */
/* The pid in the name of a process that no fork handler has named, such as ".p4711". */
#ifndef ATFORK_TEST_PID_NAME_H
#define ATFORK_TEST_PID_NAME_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether this is the last name of a process with this pid: where others may have had that, it has millions more. */
static inline bool is_name_of_pid(const char *name, pid_t pid) {
  enum { MILLIONS = 10000000 };
  char *end;
  if (strncmp(name, ".p", 2) != 0) return false;
  return strtoull(name + 2, &end, 10) % MILLIONS == (unsigned long long)pid && *end == '\0';
}

/* Whether a lineage is its parent's and the name of this process. */
static inline bool is_pid_after(const char *parent, const char *lineage) {
  size_t length = strlen(parent);
  return strncmp(lineage, parent, length) == 0 && is_name_of_pid(lineage + length, getpid());
}

#endif
