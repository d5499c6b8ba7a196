/* SPDX-License-Identifier: MIT */
/* Forks that Python is not told of: a hook of the core's has a pending call made.  Nothing of Python is entered inside
 * fork(2). */
#ifndef ATFORK_PYTHON_WATCH_H
#define ATFORK_PYTHON_WATCH_H

#include <atfork.h>
#include <stdbool.h>
#include <stdint.h>

/* Begins to watch, once in a process; has `pending` called in the main thread after such a fork. */
bool watch_begin(int (*pending)(void *unused));
void watch_end(void);

/* No more pending calls, as the main interpreter is ending. */
void watch_close(void);

/* Whether this is the hook that watches. */
bool watch_is_own(const struct atfork_hook *hook);

/* Whether the fork that made the process of this mark has run C's prepare callbacks. */
bool watch_saw_prepare(uint64_t mark);

/* How many forks of this process have their parent callbacks due, and the serial of the latest hook before the last of
 * them.  From then on none. */
int watch_take_parents(uint64_t *serial);

/* So many of them were not run. */
void watch_give_parents_back(int count);

#endif
