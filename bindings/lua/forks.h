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

/* For a callback of this phase, that is under way: whether it is one of a fork, and not of atfork_poll(). */
bool forks_tell(enum phase phase);

/* A number below 64 that its fork alone has among those under way. */
unsigned forks_number(enum phase phase);

/* Whether its fork found this process with one thread; where there is none, whether it never had another. */
bool forks_alone(enum phase phase);

#endif
