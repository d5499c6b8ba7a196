/* SPDX-License-Identifier: MIT */
/*
 * A fork under way: prepare, parent, child, poll.  The only caller of callbacks.
 */
#ifndef ATFORK_FORK_H
#define ATFORK_FORK_H

#include <stdbool.h>
#include <stdint.h>

#include "atfork.h"
#include "frame.h"
#include "waiting.h"

/*
 * Called first by everything public: sees to it that forks are handled, and that a bypassing fork is noticed.
 * Returns the process's mark.
 */
uint64_t atfork_fork_enter(void);

/* Whether fork() calls our handlers.  It does after atfork_fork_enter(), unless there was no memory for that. */
bool atfork_fork_is_handled(void);

/* Ends a walk of this thread, and the hooks that it was the last to need. */
void atfork_fork_end(struct frame *walk);

/*
 * For a `wait` that blocks for a while at a time: true when it must return without what it waits for, as hooks have
 * come or gone: perhaps a thread that has it waits for this fork to let a hook go.  The fork begins to prepare anew.
 */
bool atfork_fork_gives_up(void);

/* Waits for the walks of other threads that see hooks added at `added` or later, and retired at `retired`. */
void atfork_fork_wait(uint64_t added, uint64_t retired, struct waiting *waiting);

/* Waits for the ends of other threads' walks that run the `destroy` of a hook of the shared object. */
void atfork_fork_wait_for_burial(void *dso, struct waiting *waiting);

/* Runs the child hooks that this process has missed, as a bypassing fork or a spawn has made it; how many. */
int atfork_fork_catch_up(void);

#endif
