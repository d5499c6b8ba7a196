/* SPDX-License-Identifier: MIT */
/*
 * Frames: which thread walks over the hooks, in a fork or in atfork_foreach(), and since which sequence.
 *
 * A thread claims a frame without a lock, so a fork never waits for an update.  Frames lie in memory that a child
 * inherits: the forking thread finds its own frames there (struct thread), and frees those of lost threads.
 *
 * Beginning against retiring, both sequentially consistent:
 *
 *   a walk                               the thread that unregisters
 *   claims a frame, raises the count     commits the retirement, r
 *   reads the sequence, S                reads the count; if it is not 0, reads all frames
 *   writes S into the frame              waits while a frame has S < r, or has no S yet
 *
 * Either the walk reads S >= r, and skips the hook; or the other thread sees the frame, and waits.  A walk that began
 * before the hook was added does not see the hook, so no thread waits for it.
 */
#ifndef ATFORK_FRAME_H
#define ATFORK_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "state.h"

static const uint64_t FRAME_OVER = UINT64_MAX; /* more than any sequence */

/* Begins a walk: of atfork_foreach() if `visits`, else of a fork. */
struct frame *atfork_frame_begin(bool visits);
uint64_t atfork_frame_sequence(const struct frame *frame);
void atfork_frame_end(struct frame *frame);

/* Says that a walk needs no hook any more.  Its frame stays while the thread buries hooks.  False if this thread has no
 * frame (see atfork_frame_innermost()). */
bool atfork_frame_over(struct frame *frame);

/* Has a fork that has nothing prepared begin again at `sequence`, without the hooks that were retired before. */
void atfork_frame_begin_anew(struct frame *frame, uint64_t sequence);

/* Says that a fork that has nothing prepared needs only the hook that was added at `added`.  With 0 it needs all hooks
 * again, and atfork_frame_begin_anew() must follow. */
void atfork_frame_need_only(struct frame *frame, uint64_t added);

/* The innermost walk of this thread, or NULL. */
struct frame *atfork_frame_innermost(void);

/*
 * Whether the walk sees a hook that was added and retired at these sequences.  A fork also sees the hooks that the
 * forks around it still see.  Its child may return into their child phases, which do nothing there: this fork's own
 * child phase has already called those hooks.
 */
bool atfork_frame_sees(const struct frame *frame, uint64_t added, uint64_t retired);

/* The sequence at which the oldest walk began.  No walk needs a table that was replaced before it. */
uint64_t atfork_frame_oldest(void);

/* Whether a walk may see a hook that was added and retired at these sequences; with `others`, a walk of another thread.
 */
bool atfork_frame_needs(uint64_t added, uint64_t retired, bool others);

/*
 * Waits for walks of other threads that may see such a hook.  True if there is none.  False after a sleep: the caller
 * checks whether this is still the same process, and calls again.
 */
bool atfork_frame_wait(uint64_t added, uint64_t retired);

/* The same, for other threads that run the `destroy` of a hook of the shared object at the end of a walk. */
bool atfork_frame_wait_for_burial(void *dso);

/* In a new process: frees the frames of lost threads. */
void atfork_frame_keep_own(void);

#endif
