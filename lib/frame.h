/* SPDX-License-Identifier: MIT */
/*
 * Who walks over the hooks, a fork under way or atfork_foreach(), and since which sequence.
 *
 * A frame is claimed without a lock, so a fork never waits for an update, and lies in memory that a child
 * inherits: the forking thread finds its own there (struct thread), and clears those of the threads that are gone.
 *
 * Beginning against retiring, both sequentially consistent:
 *
 *   a walk                           whoever unregisters
 *   claims a frame, is counted       commits the retirement, r
 *   reads the sequence, S            reads the count, or the frames
 *   writes S into the frame          waits while one has S < r, or is only beginning
 *
 * Either the walk reads S >= r, and passes over the hook, or the other sees the walk, and waits.  A walk that began
 * before the hook was added does not see it, and is not waited for.
 */
#ifndef ATFORK_FRAME_H
#define ATFORK_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "state.h"

static const uint64_t FRAME_OVER = UINT64_MAX; /* more than any sequence */

/* Of a fork, or of a visit by atfork_foreach(). */
struct frame *atfork_frame_begin(bool visits);
uint64_t atfork_frame_sequence(const struct frame *frame);
void atfork_frame_end(struct frame *frame);

/* Says that a walk needs no hook any more, though its frame stays while it buries some; false if it has none any more.
 */
bool atfork_frame_over(struct frame *frame);

/* Has a walk that stands nowhere begin again, without what has been retired until `sequence`, which may be now. */
void atfork_frame_begin_anew(struct frame *frame, uint64_t sequence);

/* Says that a walk that stands nowhere needs no hook but the one that was added at `added`; 0: all, again, and it is to
 * begin anew. */
void atfork_frame_need_only(struct frame *frame, uint64_t added);

/* The innermost walk of this thread, or NULL. */
struct frame *atfork_frame_innermost(void);

/*
 * Whether the walk sees a hook that was added and retired at these sequences.  A fork sees what it found, and what the
 * forks that it is nested in have still: the child that it makes may come back into their child phases, and nothing is
 * left for it there.
 */
bool atfork_frame_sees(const struct frame *frame, uint64_t added, uint64_t retired);

/* The sequence that the oldest walk began at: what was given up before that, no walk needs. */
uint64_t atfork_frame_oldest(void);

/* Whether a walk, or one of `others`, may see a hook that was added and retired at these sequences. */
bool atfork_frame_needs(uint64_t added, uint64_t retired, bool others);

/*
 * Waits for the walks of other threads that see such a hook.  True when there is none; false to have it called
 * again, once the caller has looked whether this is still the same process.
 */
bool atfork_frame_wait(uint64_t added, uint64_t retired);

/* The same, for other threads that run the `destroy` of a hook of the shared object in the end of a walk. */
bool atfork_frame_wait_for_burial(void *dso);

/* In a new process: frees those of threads that are gone. */
void atfork_frame_keep_own(void);

#endif
