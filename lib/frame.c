/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include <assert.h>

#include "os.h"
#include "sequence.h"
#include "thread.h"
#include "transient.h"
#include "waiting.h"

static struct frames *frames(void) {
  return &atfork_state.frames;
}

/* ---- Claiming ---- */

static bool claim_this(struct frame *frame) {
  uintptr_t nobody = 0;
  return atomic_load_explicit(&frame->thread, memory_order_relaxed) == 0 &&
         atomic_compare_exchange_strong(&frame->thread, &nobody, thread_self());
}

static struct frame *claim_in(struct frame_block *block) {
  for (unsigned i = 0; i < FRAMES_PER_BLOCK; i++)
    if (claim_this(&block->frames[i])) return &block->frames[i];
  return NULL;
}

/* Adds a block at the end of the list.  If another thread was quicker, returns the block of that thread. */
static struct frame_block *next_block(struct frame_block *block) {
  struct frame_block *next = atomic_load_explicit(&block->next, memory_order_acquire);
  if (next != NULL) return next;
  struct frame_block *new = atfork_os_map(sizeof *new);
  if (new == NULL) return NULL;
  if (atomic_compare_exchange_strong(&block->next, &next, new)) return new;
  atfork_os_unmap(new, sizeof *new);
  return next;
}

WAITING_NAMED void atfork_waits_for_memory(unsigned attempt, struct waiting *waiting) {
  atfork_os_back_off(attempt);
  atfork_waiting_tell(waiting);
}

/*
 * Prefers the frame that this thread had last: then it writes nothing to thread-local state, whose page the parent of a
 * fork may not need otherwise.  If all frames are taken, and there is no memory for more, the walk waits: a fork
 * handler cannot refuse the fork.
 */
static struct frame *claim(const struct frame *outer) {
  struct frame *last = atfork_thread.frame;
  if (outer == NULL && last != NULL && claim_this(last)) return last;
  struct waiting waiting = {.who = "fork() or atfork_foreach()", .what = "memory"};
  for (unsigned attempt = 0;; attempt++) {
    for (struct frame_block *block = &frames()->block; block != NULL; block = next_block(block)) {
      struct frame *frame = claim_in(block);
      if (frame != NULL) return frame;
    }
    atfork_waits_for_memory(attempt, &waiting);
  }
}

/*
 * The count is raised after the frame is claimed, and lowered before the frame is freed.  If a signal handler forks
 * between the two steps, its child counts the frames anew; then the count is too high by one, never too low.
 */
struct frame *atfork_frame_begin(bool visits) {
  struct frame *outer = atfork_frame_innermost();
  struct frame *frame = claim(outer);
  atomic_fetch_add(&frames()->count, 1);
  frame->outer = outer;
  frame->number = 0;
  frame->visits = visits;
  atomic_store_explicit(&frame->burying, NULL, memory_order_relaxed);
  uint64_t sequence = sequence_now();
  atomic_store_explicit(&frame->added, sequence, memory_order_relaxed);
  atomic_store_explicit(&frame->only, 0, memory_order_relaxed);
  atomic_store(&frame->began, sequence + 1);
  if (atfork_thread.frame != frame) atfork_thread.frame = frame;
  return frame;
}

/* The caller has read `sequence` before.  A thread that retires a hook in between waits for this walk, though the walk
 * skips the hook; the event wakes that thread. */
void atfork_frame_begin_anew(struct frame *frame, uint64_t sequence) {
  atomic_store(&frame->began, sequence + 1);
  event_happened(&transient()->walk_ended);
}

/*
 * Sequentially consistent: a thread that read `only`, and so did not wait for this walk, committed its retirement
 * before this walk clears `only` and reads the sequence to begin anew.  Until then the walk counts as only beginning
 * (0): a fork inside it must not see a hook that such a thread is about to bury.
 */
void atfork_frame_need_only(struct frame *frame, uint64_t added) {
  if (added == 0) atomic_store(&frame->began, 0);
  atomic_store(&frame->only, added);
  event_happened(&transient()->walk_ended);
}

uint64_t atfork_frame_sequence(const struct frame *frame) {
  return atomic_load_explicit(&frame->began, memory_order_relaxed) - 1;
}

static void frame_free(struct frame *frame) {
  /* In this order: a frame counts as only beginning as soon as a thread claims it. */
  atomic_store(&frame->began, 0);
  frame->number = 0;
  frame->outer = NULL;
  atomic_store(&frame->thread, 0);
}

bool atfork_frame_over(struct frame *frame) {
  if (atfork_frame_innermost() == NULL) return false;
  atomic_store(&frame->began, FRAME_OVER);
  event_happened(&transient()->walk_ended);
  return true;
}

void atfork_frame_end(struct frame *frame) {
  if (atfork_frame_innermost() == NULL) return;
  assert(atfork_thread.frame == frame);
  if (frame->outer != NULL) atfork_thread.frame = frame->outer;
  atomic_fetch_sub(&frames()->count, 1);
  frame_free(frame);
  event_happened(&transient()->walk_ended);
}

/* ---- Looking around ---- */

/*
 * NULL if this thread is in no walk.  Also NULL in a new process if another library's handler has started a thread
 * there, and that thread has looked first: it has freed this thread's frames as those of a lost thread.
 */
struct frame *atfork_frame_innermost(void) {
  struct frame *frame = atfork_thread.frame;
  if (frame != NULL && atomic_load_explicit(&frame->thread, memory_order_relaxed) != thread_self()) frame = NULL;
  return frame;
}

/* Whether no thread walks. */
static bool frame_none(void) {
  return atomic_load(&frames()->count) == 0;
}

/*
 * Calls `is_it` with each walk and its `began`, until `is_it` returns true.  A `began` of 0 says that the walk is only
 * beginning: it may have read any sequence, and counts as the oldest.
 */
static bool any_walk(bool others, bool (*is_it)(struct frame *frame, uint64_t began, void *argument), void *argument) {
  if (frame_none()) return false;
  for (struct frame_block *block = &frames()->block; block != NULL;
       block = atomic_load_explicit(&block->next, memory_order_acquire)) {
    for (unsigned i = 0; i < FRAMES_PER_BLOCK; i++) {
      uintptr_t thread = atomic_load(&block->frames[i].thread);
      if (thread == 0 || (others && thread == thread_self())) continue;
      uint64_t began = atomic_load(&block->frames[i].began);
      if (is_it(&block->frames[i], began, argument)) return true;
    }
  }
  return false;
}

static bool is_older(struct frame *frame, uint64_t began, void *oldest) {
  (void)frame;
  uint64_t sequence = began - (began != 0);
  if (sequence < *(uint64_t *)oldest) *(uint64_t *)oldest = sequence;
  return false;
}

/* The sequence is read before the frames: a walk may begin right after they are read. */
uint64_t atfork_frame_oldest(void) {
  uint64_t oldest = sequence_now();
  any_walk(false, is_older, &oldest);
  return oldest;
}

/* The sequences of a hook; `added` is 0 for any hook. */
struct span {
  uint64_t added, retired;
};

/* If the frame has been given to another walk meanwhile, the walk that had it before has ended, and needs no hook. */
static bool is_within(const struct frame *frame, uint64_t began, const struct span *span) {
  if (began > span->retired || atomic_load_explicit(&frame->added, memory_order_relaxed) < span->added) return false;
  uint64_t only = atomic_load(&frame->only);
  return only == 0 || span->added == 0 || only == span->added;
}

static bool may_need(struct frame *frame, uint64_t began, void *span) {
  return began == 0 || is_within(frame, began, span);
}

bool atfork_frame_needs(uint64_t added, uint64_t retired, bool others) {
  struct span span = {added, retired};
  return any_walk(others, may_need, &span);
}

bool atfork_frame_sees(const struct frame *frame, uint64_t added, uint64_t retired) {
  const struct span span = {added, retired};
  const struct frame *own = frame;
  for (; frame != NULL; frame = own->visits ? NULL : frame->outer) {
    uint64_t began = atomic_load_explicit(&frame->began, memory_order_relaxed);
    /* An outer frame that is only beginning, for the first time or anew, sees nothing yet. */
    if (began == 0 || (frame->visits && frame != own)) continue;
    if (is_within(frame, began, &span)) return true;
  }
  return false;
}

static bool is_burying(struct frame *frame, uint64_t began, void *dso) {
  (void)began;
  return atomic_load(&frame->burying) == dso;
}

bool atfork_frame_wait(uint64_t added, uint64_t retired) {
  struct event *ended = &transient()->walk_ended;
  uint32_t seen = event_look(ended);
  if (!atfork_frame_needs(added, retired, true)) return true;
  event_sleep(ended, seen);
  return false;
}

bool atfork_frame_wait_for_burial(void *dso) {
  struct event *ended = &transient()->walk_ended;
  uint32_t seen = event_look(ended);
  if (!any_walk(true, is_burying, dso)) return true;
  event_sleep(ended, seen);
  return false;
}

void atfork_frame_keep_own(void) {
  uint64_t count = 0;
  for (struct frame_block *block = &frames()->block; block != NULL;
       block = atomic_load_explicit(&block->next, memory_order_acquire)) {
    for (unsigned i = 0; i < FRAMES_PER_BLOCK; i++) {
      uintptr_t thread = atomic_load_explicit(&block->frames[i].thread, memory_order_relaxed);
      if (thread == thread_self())
        count++;
      else if (thread != 0)
        frame_free(&block->frames[i]);
    }
  }
  atomic_store(&frames()->count, count);
}
