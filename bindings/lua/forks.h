/* SPDX-License-Identifier: MIT */
/*
 * The forks that this thread is in the middle of, one inside another, and whether each found this process with one
 * thread.
 *
 * Two hooks of the core note this: one is prepared first and gets its parent last, the other is prepared last and gets
 * its parent first.
 */
#ifndef ATFORK_LUA_FORKS_H
#define ATFORK_LUA_FORKS_H

#include <atfork.h>
#include <stdbool.h>

#include "phase.h"

/* Registers the two hooks, once in a process; false when there is no memory. */
bool forks_watch(void);

/* Makes sure that the first of them is prepared before the hook with this id, if both have the highest priority. */
bool forks_watch_before(atfork_id id);

/* Whether a hook is one of the two. */
bool forks_is_watch(const struct atfork_hook *hook);

/* The fork under way that a callback of this phase belongs to. */
struct told_fork {
  bool is_told;    /* it is a fork, not atfork_poll() */
  bool alone;      /* the process had one thread; if it is no fork, it has never had another */
  unsigned number; /* below 64, and different for all forks under way */
};
struct told_fork forks_of(enum phase phase);

#endif
