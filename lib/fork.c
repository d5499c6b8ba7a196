/* SPDX-License-Identifier: MIT */
#include "fork.h"

#include <errno.h>
#include <limits.h>

#include "lock.h"
#include "os.h"
#include "process.h"
#include "registry.h"
#include "sequence.h"
#include "transient.h"
#include "walk.h"

static struct forks *forks(void) {
  return &atfork_state.forks;
}

/* ---- Walks ---- */

void fork_wait(uint64_t sequence) {
  /* A handler may have forked meanwhile, and this be the child, where nobody is waited for. */
  while (!frame_wait(sequence)) fork_enter();
}

void fork_end(struct frame *walk) {
  struct grave grave = {0};
  frame_end(walk);
  if (!registry_has_retired()) return;
  while (registry_bury_due(grave.id, frame_oldest(), &grave))
    if (grave.destroy != NULL) grave.destroy(grave.data);
  registry_collect();
}

/* ---- Phases ---- */

/* Calls `parent` of the hooks where the walk stands, from index `i` on. */
static void run_parents(const struct walk *walk, size_t i) {
  for (; i < walk->end; i++) {
    callback call = atomic_load_explicit(&walk->callbacks[i], memory_order_relaxed);
    if (call == NULL || (walk->sparse && !walk_takes_part(walk, i))) continue;
    call(walk->data[i]);
  }
}

static void run_parent(uint64_t sequence) {
  struct walk walk;
  walk_begin(&walk, sequence, PARENT);
  while (walk_forward(&walk)) run_parents(&walk, 0);
}

/* Whether this is another process than the one of `mark`, which is at `at`.  A plain look, unless pages are not wiped.
 */
static inline bool is_over(const _Atomic uint64_t *at, uint64_t mark) {
  return atomic_load_explicit(at, memory_order_relaxed) != mark && process_mark() != mark;
}

/*
 * Calls `child` of the hooks where the walk stands.  A callback that forks makes a process whose own child phase runs
 * while this one is under way; when it returns there, this one is over: each callback runs once in a process.  True
 * then.
 */
static bool run_children(const struct walk *walk, uint64_t mark, size_t *count) {
  const _Atomic uint64_t *at = &transient()->mark;
  for (size_t i = 0; i < walk->end; i++) {
    callback call = atomic_load_explicit(&walk->callbacks[i], memory_order_relaxed);
    if (call == NULL || (walk->sparse && !walk_takes_part(walk, i))) continue;
    call(walk->data[i]);
    ++*count;
    if (is_over(at, mark)) return true;
  }
  return false;
}

static int run_child(uint64_t sequence, uint64_t mark) {
  struct walk walk;
  size_t count = 0;
  walk_begin(&walk, sequence, CHILD);
  while (walk_forward(&walk) && !run_children(&walk, mark, &count)) continue;
  return count > INT_MAX ? INT_MAX : (int)count;
}

/* Tells the hooks that were prepared that it comes to nothing: those after index `i` of where the walk stands. */
static void take_back(struct walk walk, size_t i) {
  walk_go_on(&walk, PARENT);
  run_parents(&walk, i + 1);
  while (walk_forward(&walk)) run_parents(&walk, 0);
}

/* Calls `prepare` or `try_prepare`; false for "not now". */
static bool prepare_one(const struct walk *walk, size_t i) {
  callback call = atomic_load_explicit(&walk->callbacks[i], memory_order_relaxed);
  if (call == NULL || (walk->sparse && !walk_takes_part(walk, i))) return true;
  if (walk->refuses && walk_refuses(walk, i)) return ((try_callback)(any_callback)call)(walk->data[i]) == 0;
  call(walk->data[i]);
  return true;
}

static bool try_to_prepare(uint64_t sequence) {
  struct walk walk;
  walk_end(&walk, sequence, PREPARE);
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
  struct frame *frame = frame_innermost();
  return frame != NULL && frame->number != 0 ? frame : NULL;
}

static void on_parent(void) {
  struct frame *frame = prepared();
  if (frame == NULL) return;
  int *errno_at = frame->errno_at;
  int error = *errno_at;
  frame->number = 0;
  run_parent(frame_sequence(frame));
  fork_end(frame);
  *errno_at = error;
}

/*
 * In a new process, once: clears away what the parent's other threads were doing.  If it `was_bypassed`, notes
 * which hooks its child phase has, before any is added.  Their part of the registry is put right only when this
 * thread is not inside an update itself, which goes on in the child: then there is none, but for what they were
 * unregistering, and that can wait.
 */
static void settle(bool was_bypassed) {
  bool nested = lock_enter();
  if (!atomic_load(&transient()->settled)) {
    frame_keep_own();
    if (was_bypassed) atomic_store(&forks()->birth, sequence_now());
    atomic_store_explicit(&transient()->settled, true, memory_order_release);
  }
  if (!nested && !atomic_load(&transient()->adopted)) {
    registry_adopt();
    atomic_store_explicit(&transient()->adopted, true, memory_order_release);
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
  settle(false);
  atomic_store_explicit(&forks()->dispatched, mark, memory_order_relaxed);
  run_child(frame_sequence(frame), mark);
  fork_end(frame);
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
  if (!atomic_load_explicit(&transient()->adopted, memory_order_acquire)) settle(true);
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
  fork_end(frame);
  errno = error;
  return count;
}

/* ---- Spawned workers ---- */

/* To its hooks it is as if a fork that bypassed nothing had just made this process. */
int fork_spawned(const char *token) {
  fork_enter();
  int error = process_spawned(token);
  if (error != 0) return error;
  uint64_t mark = process_mark();
  atomic_store_explicit(&forks()->dispatched, mark, memory_order_relaxed);
  struct frame *frame = frame_begin();
  run_child(frame_sequence(frame), mark);
  fork_end(frame);
  return 0;
}
