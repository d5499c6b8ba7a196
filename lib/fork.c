/* SPDX-License-Identifier: MIT */
#include "fork.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

#include "lock.h"
#include "os.h"
#include "process.h"
#include "registry.h"
#include "thread.h"
#include "transient.h"

static struct forks *forks(void) {
  return &atfork_state.forks;
}

static uintptr_t self(void) {
  return (uintptr_t)&atfork_thread;
}

/* ---- Frames ---- */

static struct frame *claim_in(struct frame_block *block) {
  for (unsigned i = 0; i < FRAMES_PER_BLOCK; i++) {
    uintptr_t nobody = 0;
    if (atomic_load_explicit(&block->frames[i].thread, memory_order_relaxed) != 0) continue;
    /* Sequentially consistent: see frame_begin(). */
    if (atomic_compare_exchange_strong(&block->frames[i].thread, &nobody, self())) return &block->frames[i];
  }
  return NULL;
}

/* One more block at the end of the list; another thread's, if that was quicker. */
static struct frame_block *next_block(struct frame_block *block) {
  struct frame_block *next = atomic_load_explicit(&block->next, memory_order_acquire);
  if (next != NULL) return next;
  struct frame_block *new = os_map(sizeof *new);
  if (new == NULL) return NULL;
  if (atomic_compare_exchange_strong(&block->next, &next, new)) return new;
  os_unmap(new, sizeof *new);
  return next;
}

/* With all frames taken and no memory for more, the fork waits: it cannot be refused. */
static struct frame *claim(void) {
  for (unsigned attempt = 0;; attempt++) {
    for (struct frame_block *block = &forks()->block; block != NULL; block = next_block(block)) {
      struct frame *frame = claim_in(block);
      if (frame != NULL) return frame;
    }
    os_back_off(attempt);
  }
}

struct frame *frame_begin(void) {
  struct frame *frame = claim();
  frame->outer = atfork_thread.frame;
  frame->number = 0;
  /* Claimed, then the sequence read, both sequentially consistent, as commit() in registry.c and then
   * oldest() are: who retires a hook sees this frame, or this fork sees the hook retired. */
  atomic_store(&frame->began, registry_sequence() + 1);
  atfork_thread.frame = frame;
  return frame;
}

uint64_t frame_sequence(const struct frame *frame) {
  return atomic_load_explicit(&frame->began, memory_order_relaxed) - 1;
}

static void frame_free(struct frame *frame) {
  /* In this order: a free frame is one that is only beginning, as soon as it is claimed. */
  atomic_store(&frame->began, 0);
  atomic_store(&frame->thread, 0);
}

/*
 * The sequence that the oldest fork under way began at; `others`: in other threads.  One that is only
 * beginning may have read any.  At most the sequence from before the look around, as a fork may begin right after it.
 */
static uint64_t oldest(bool others) {
  uint64_t oldest = registry_sequence();
  for (struct frame_block *block = &forks()->block; block != NULL;
       block = atomic_load_explicit(&block->next, memory_order_acquire)) {
    for (unsigned i = 0; i < FRAMES_PER_BLOCK; i++) {
      uintptr_t thread = atomic_load(&block->frames[i].thread);
      if (thread == 0 || (others && thread == self())) continue;
      uint64_t began = atomic_load(&block->frames[i].began);
      uint64_t sequence = began == 0 ? 0 : began - 1;
      if (sequence < oldest) oldest = sequence;
    }
  }
  return oldest;
}

/* In a new process: the threads that had the other frames are gone. */
static void keep_own_frames(void) {
  for (struct frame_block *block = &forks()->block; block != NULL;
       block = atomic_load_explicit(&block->next, memory_order_acquire)) {
    for (unsigned i = 0; i < FRAMES_PER_BLOCK; i++) {
      uintptr_t thread = atomic_load_explicit(&block->frames[i].thread, memory_order_relaxed);
      if (thread != 0 && thread != self()) frame_free(&block->frames[i]);
    }
  }
}

bool fork_is_under_way(void) {
  return atfork_thread.frame != NULL;
}

void fork_wait(uint64_t sequence) {
  for (;;) {
    struct transient *t = transient();
    /* Sequentially consistent, with frame_end(): either we see the frame free, or its thread sees us wait. */
    atomic_fetch_add(&t->end_waiters, 1);
    uint32_t event = atomic_load(&t->end_event);
    bool ended = oldest(true) >= sequence;
    if (!ended) os_wait(&t->end_event, event);
    atomic_fetch_sub(&t->end_waiters, 1);
    if (ended) return;
    /* A handler may have forked meanwhile, and this be the child, where nobody is waited for. */
    fork_enter();
  }
}

void fork_collect(void) {
  registry_collect(oldest(false));
}

/* Ends the hooks that callbacks unregistered and that no fork under way needs any more. */
static void bury_due(void) {
  struct grave grave = {0};
  while (registry_bury_due(grave.id, oldest(false), &grave))
    if (grave.destroy != NULL) grave.destroy(grave.data);
  fork_collect();
}

void frame_end(struct frame *frame) {
  assert(atfork_thread.frame == frame);
  atfork_thread.frame = frame->outer;
  frame_free(frame);
  if (atomic_load(&transient()->end_waiters) != 0) {
    atomic_fetch_add(&transient()->end_event, 1);
    os_wake_all(&transient()->end_event);
  }
  if (registry_has_retired()) bury_due();
}

/* ---- Phases ---- */

/* Calls one phase's callbacks from where the walk stands, index `i` on. */
static int run_chunk(const struct walk *walk, size_t i, enum phase phase) {
  const _Atomic(callback) *callbacks = walk_callbacks(walk, phase);
  void *const *data = walk_data(walk);
  int count = 0;
  for (; i < walk->end; i++) {
    callback call = atomic_load_explicit(&callbacks[i], memory_order_relaxed);
    if (call == NULL || (walk->sparse && !walk_takes_part(walk, i))) continue;
    call(data[i]);
    count++;
  }
  return count;
}

static void run_parent(uint64_t sequence) {
  struct walk walk;
  walk_begin(&walk, sequence);
  while (walk_forward(&walk)) run_chunk(&walk, 0, PARENT);
}

/*
 * A callback that forks makes a process whose own child phase runs while this one is under way; when it returns there,
 * this one is over: each callback runs once in a process.
 */
static int run_child(uint64_t sequence, uint64_t mark) {
  struct walk walk;
  int count = 0;
  walk_begin(&walk, sequence);
  while (walk_forward(&walk)) {
    const _Atomic(callback) *callbacks = walk_callbacks(&walk, CHILD);
    void *const *data = walk_data(&walk);
    for (size_t i = 0; i < walk.end; i++) {
      callback call = atomic_load_explicit(&callbacks[i], memory_order_relaxed);
      if (call == NULL || (walk.sparse && !walk_takes_part(&walk, i))) continue;
      call(data[i]);
      if (count < INT_MAX) count++;
      if (process_mark() != mark) return count;
    }
  }
  return count;
}

/* Tells the hooks that were prepared that it comes to nothing: those after index `i` of the walk's chunk. */
static void take_back(struct walk walk, size_t i) {
  run_chunk(&walk, i + 1, PARENT);
  while (walk_forward(&walk)) run_chunk(&walk, 0, PARENT);
}

/* Calls `prepare` or `try_prepare`; false for "not now". */
static bool prepare_one(const struct walk *walk, size_t i) {
  callback call = atomic_load_explicit(&walk_callbacks(walk, PREPARE)[i], memory_order_relaxed);
  if (call == NULL || !walk_takes_part(walk, i)) return true;
  if (walk_refuses(walk, i)) return ((try_callback)(any_callback)call)(walk_data(walk)[i]) == 0;
  call(walk_data(walk)[i]);
  return true;
}

static bool try_to_prepare(uint64_t sequence) {
  struct walk walk;
  walk_end(&walk, sequence);
  while (walk_backward(&walk)) {
    for (size_t i = walk.end; i-- > 0;) {
      if (prepare_one(&walk, i)) continue;
      take_back(walk, i);
      return false;
    }
  }
  return true;
}

/* ---- Handlers ---- */

/* The handlers leave errno alone.  Where it is, only this one asks: the C library's answer may lie on a page
 * that the child has no other need of. */
static void on_prepare(void) {
  int error = errno;
  fork_catch_up();
  struct frame *frame = frame_begin();
  for (unsigned attempt = 0; !try_to_prepare(frame_sequence(frame)); attempt++) os_back_off(attempt);
  frame->errno_at = &errno;
  frame->number = process_next_child();
  errno = error;
}

/* The fork that this thread has prepared; NULL when the handlers were added in the middle of one. */
static struct frame *prepared(void) {
  struct frame *frame = atfork_thread.frame;
  return frame != NULL && frame->number != 0 ? frame : NULL;
}

static void on_parent(void) {
  struct frame *frame = prepared();
  if (frame == NULL) return;
  int *errno_at = frame->errno_at;
  int error = *errno_at;
  frame->number = 0;
  run_parent(frame_sequence(frame));
  frame_end(frame);
  *errno_at = error;
}

/*
 * In a new process, once: clears away what the parent's other threads were doing.  If it `was_bypassed`, notes
 * which hooks its child phase has, before any is added.
 */
static void settle(uint64_t mark, bool was_bypassed) {
  bool nested = lock_enter();
  if (atomic_load(&transient()->settled) != mark) {
    keep_own_frames();
    if (!nested) registry_adopt();
    if (was_bypassed) atomic_store(&forks()->birth, registry_sequence());
    atomic_store_explicit(&transient()->settled, mark, memory_order_release);
  }
  lock_leave(nested);
}

static void on_child(void) {
  struct frame *frame = prepared();
  if (frame == NULL) return;
  int *errno_at = frame->errno_at;
  int error = *errno_at;
  process_born(frame->number);
  frame->number = 0;
  uint64_t mark = process_mark();
  settle(mark, false);
  atomic_store_explicit(&forks()->dispatched, mark, memory_order_relaxed);
  run_child(frame_sequence(frame), mark);
  frame_end(frame);
  *errno_at = error;
}

/* ---- Bypassing forks ---- */

static void handle_forks(void) {
  bool nested = lock_enter();
  if (!nested && !fork_is_handled() && os_handle_forks(on_prepare, on_parent, on_child) == 0)
    atomic_store(&forks()->handled, true);
  lock_leave(nested);
}

bool fork_is_handled(void) {
  return atomic_load_explicit(&forks()->handled, memory_order_acquire);
}

uint64_t fork_enter(void) {
  uint64_t mark = process_mark();
  if (atomic_load_explicit(&transient()->settled, memory_order_acquire) != mark) settle(mark, true);
  if (!fork_is_handled()) handle_forks();
  return mark;
}

int fork_catch_up(void) {
  uint64_t mark = fork_enter();
  uint64_t dispatched = atomic_load(&forks()->dispatched);
  /* Nothing has missed the fork of the process that everything began in: its birth was before any hook. */
  if (dispatched == mark) return 0;
  if (!atomic_compare_exchange_strong(&forks()->dispatched, &dispatched, mark)) return 0;
  int error = errno;
  struct frame *frame = frame_begin();
  atomic_store(&frame->began, atomic_load(&forks()->birth) + 1);
  int count = run_child(frame_sequence(frame), mark);
  frame_end(frame);
  errno = error;
  return count;
}
