/* SPDX-License-Identifier: MIT */
/*
 * Variables that a new program needs in its environment to be watched: the caller of exec may have made an environment
 * of its own.  If the program cannot be watched, they are removed.  A child of vfork() does this in its parent's
 * memory, so all of it lies on the stack of the caller of exec.
 */
#ifndef ATFORK_WATCH_ENVIRONMENT_H
#define ATFORK_WATCH_ENVIRONMENT_H

#include <alloca.h>

#include "watch.h"

/* False, with the reason: the loader loads nothing into it, or must not. */
bool program_is_watchable(const char *path, enum unwatched *why);

/* The file that execvp() finds in PATH, or the name itself. */
const char *environment_search(const char *file, char *buffer, size_t size);

enum environment_change { ENVIRONMENT_KEEP, ENVIRONMENT_COMPLETE, ENVIRONMENT_STRIP };

enum environment_change environment_change(const char *path, char *const *envp);
size_t environment_strings(char *const *envp); /* that the new environment may have, with its NULL */
size_t environment_bytes(char *const *envp);   /* for a string of its own */
void environment_make(enum environment_change change, char **full, char *const *envp, char *joined);

/* Makes the variable envp the environment for the program. */
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
