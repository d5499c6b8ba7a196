/* SPDX-License-Identifier: MIT */
/* Notices forks that Python does not see: a hook of the core adds a pending call.  No Python code runs inside
 * fork(2). */
#ifndef ATFORK_PYTHON_WATCH_H
#define ATFORK_PYTHON_WATCH_H

#include <atfork.h>
#include <stdbool.h>
#include <stdint.h>

/* Begins to watch, once in a process.  `pending` is called in the main thread after such a fork. */
bool watch_begin(int (*pending)(void *unused));
void watch_end(void);

/* Ends pending calls, as the main interpreter is ending. */
void watch_close(void);

/* Whether this is the hook that watches. */
bool watch_is_own(const struct atfork_hook *hook);

/* Whether the fork that made the process of this mark has run C's prepare callbacks. */
bool watch_saw_prepare(uint64_t mark);

/* Takes the number of forks of this process whose parent callbacks are due, and the serial of the latest hook before
 * the last of these forks. */
int watch_take_parents(uint64_t *serial);

/* Gives back the forks whose callbacks did not run. */
void watch_give_parents_back(int count);

#endif
