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
 * Each public function calls this first.  It registers the fork handlers, unless that is done, and notices a bypassing
 * fork.  Returns the mark of the process.
 */
uint64_t atfork_fork_enter(void);

/* Whether fork() calls our handlers: true after atfork_fork_enter(), unless there was no memory to register them. */
bool atfork_fork_is_handled(void);

/* Ends a walk of this thread, and buries the retired hooks that no other walk sees. */
void atfork_fork_end(struct frame *walk);

/*
 * For a `wait` that blocks in slices.  True if it must return without what it waits for, as hooks were registered or
 * unregistered meanwhile: the thread that has it may be waiting until this fork no longer needs a hook.  The fork then
 * starts its prepare phase again.
 */
bool atfork_fork_gives_up(void);

/* Waits until no other thread's walk sees a hook that was added at `added` and retired at `retired`. */
void atfork_fork_wait(uint64_t added, uint64_t retired, struct waiting *waiting);

/* Waits until no other thread, at the end of its walk, runs the `destroy` of a hook of the shared object. */
void atfork_fork_wait_for_burial(void *dso, struct waiting *waiting);

/* Calls the child hooks that are due because a bypassing fork made this process, or because it has taken a place.
 * Returns how many. */
int atfork_fork_catch_up(void);

#endif
