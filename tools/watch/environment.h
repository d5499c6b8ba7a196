/* SPDX-License-Identifier: MIT */
/*
 * What has to be in the environment of a new program for it to be watched, as a program may have made one of its own;
 * and what must not, where it cannot be.  A child of vfork() asks this on its parent's memory: so all of it lies on the
 * stack of whoever calls exec.
 */
#ifndef ATFORK_WATCH_ENVIRONMENT_H
#define ATFORK_WATCH_ENVIRONMENT_H

#include <alloca.h>

#include "watch.h"

/* False, and why: the loader loads nothing into it, or must not. */
bool program_is_watchable(const char *path, enum unwatched *why);

/* The file that execvp() finds in PATH, or the name itself. */
const char *environment_search(const char *file, char *buffer, size_t size);

enum environment_change { ENVIRONMENT_KEEP, ENVIRONMENT_COMPLETE, ENVIRONMENT_STRIP };

enum environment_change environment_change(const char *path, char *const *envp);
size_t environment_strings(char *const *envp); /* that the new one may have, with its NULL */
size_t environment_bytes(char *const *envp);   /* for a string of its own */
void environment_make(enum environment_change change, char **full, char *const *envp, char *joined);

/* Has envp, a variable, be right for the program. */
#define ENVIRONMENT(path, envp)                                              \
  do {                                                                       \
    enum environment_change change = environment_change(path, envp);         \
    if (change != ENVIRONMENT_KEEP) {                                        \
      char **full = alloca(environment_strings(envp) * sizeof *full);        \
      environment_make(change, full, envp, alloca(environment_bytes(envp))); \
      (envp) = full;                                                         \
    }                                                                        \
  } while (0)

#endif
