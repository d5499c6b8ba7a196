/* SPDX-License-Identifier: MIT */
/*
 * The forks that this thread is in the middle of, one inside another, and whether each found this process with one
 * thread.
 *
 * Two hooks of the core tell: one is prepared first and gets its parent and child last, of the other the reverse is
 * true.
 */
#ifndef ATFORK_LUA_FORKS_H
#define ATFORK_LUA_FORKS_H

#include <atfork.h>
#include <stdbool.h>

#include "phase.h"

/* Registers the two hooks, once in a process; false when there is no memory. */
bool forks_watch(void);

/* Has the first of them prepared before the hook of this id, which has the highest priority, too. */
bool forks_watch_before(atfork_id id);

/* Whether a hook is one of the two. */
bool forks_is_watch(const struct atfork_hook *hook);

/* The fork that a callback of this phase is of, which is under way. */
struct told_fork {
  bool is_told;    /* it is a fork, and not atfork_poll() */
  bool alone;      /* it found this process with one thread; if it is not told, the process never had another */
  unsigned number; /* below 64, and its own among those under way */
};
struct told_fork forks_of(enum phase phase);

#endif
