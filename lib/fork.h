/* SPDX-License-Identifier: MIT */
/*
 * A fork under way: prepare, parent, child, poll.  The only caller of callbacks.
 *
 * Each fork under way has a frame, that says at which sequence it began.  A frame is claimed without a lock, so
 * a fork never waits for an update, and lies in memory that a child inherits: the forking thread finds its own
 * there (struct thread), and clears those of the threads that are gone.
 */
#ifndef ATFORK_FORK_H
#define ATFORK_FORK_H

#include <stdbool.h>
#include <stdint.h>

#include "atfork.h"
#include "state.h"

/*
 * Called first by everything public: sees to it that forks are handled, and that a bypassing fork is noticed.
 * Returns the process's mark.
 */
uint64_t fork_enter(void);

/* Whether fork() calls our handlers.  It does after fork_enter(), unless there was no memory for that. */
bool fork_is_handled(void);

/* A walk over the hooks in this thread, as if it were a fork: what it sees is kept until frame_end(). */
struct frame *frame_begin(void);
uint64_t frame_sequence(const struct frame *frame);
void frame_end(struct frame *frame);

/* Whether this thread is inside a callback, or between the phases of a fork. */
bool fork_is_under_way(void);

/* Waits until no fork that began before `sequence` is under way in another thread. */
void fork_wait(uint64_t sequence);

/* Gives back what no fork under way needs. */
void fork_collect(void);

/* Runs the child hooks that a bypassing fork missed; how many. */
int fork_catch_up(void);

#endif
