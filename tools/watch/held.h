/* SPDX-License-Identifier: MIT */
/*
 * The table of locks that each thread holds, and the check of lost threads' locks in a child.
 *
 * The entry of a lock with an owner is written before the lock is taken, and removed after the release.  The entry
 * alone proves nothing: the child also checks the owner in its copy of the lock, which no thread changes any more.  The
 * entry of a lock without an owner (readers, spinlocks, semaphores) is written after the lock was taken.
 */
#ifndef ATFORK_WATCH_HELD_H
#define ATFORK_WATCH_HELD_H

#include "watch.h"

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define SITE __builtin_return_address(0)

/* The calling thread, if only its table has to be written; NULL: use held_enter().  In a child `quick` is wiped. */
static inline struct thread *held_quick(void) {
  return LIKELY(atomic_load_explicit(&self_page->quick, memory_order_relaxed)) ? thread_current : NULL;
}

/* The same, the slow way.  `function` is what the program calls; NULL: a function that any child may call.  Returns
 * NULL if locks are not watched. */
struct thread *held_enter(const char *function);

static inline struct thread *held_thread(const char *function) {
  struct thread *thread = held_quick();
  return LIKELY(thread != NULL) ? thread : held_enter(function);
}

void held_make_room(struct thread *thread);
void held_remove_below(struct thread *thread, const void *lock);

/* A signal handler that locks uses the entry above: the count is raised before the entry is written, and lowered
 * after. */
static inline void held_put(struct thread *thread, const void *lock, const void *site, enum lock_kind kind) {
  struct held *entry = &thread->held[thread->held_count++];
  atomic_signal_fence(memory_order_seq_cst);
  entry->site = site;
  entry->kind = kind;
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(&entry->lock, lock, memory_order_relaxed);
}

static inline void held_add(struct thread *thread, const void *lock, const void *site, enum lock_kind kind) {
  if (UNLIKELY(thread->held_count >= HELD)) held_make_room(thread);
  held_put(thread, lock, site, kind);
}

static inline void held_remove(struct thread *thread, const void *lock) {
  unsigned top = thread->held_count - 1;
  if (LIKELY(top < HELD && atomic_load_explicit(&thread->held[top].lock, memory_order_relaxed) == lock)) {
    atomic_store_explicit(&thread->held[top].lock, NULL, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    thread->held_count = top;
  } else {
    held_remove_below(thread, lock);
  }
}

/* In a child with lost threads: if one of them holds the lock, writes a record and ends the process; a `timed` wait
 * goes on. */
void held_check(enum lock_kind kind, const void *lock, const char *function, const void *site, bool timed);

/* The lock was initialised or destroyed, or only the caller holds it: no lost thread holds it any more. */
void held_forget(const void *lock);
/* The caller has taken it, so no lost thread holds it, except as a reader. */
void held_taken(enum lock_kind kind, const void *lock);
void held_forget_not_own(const struct thread *thread, const void *lock); /* unless the thread has an entry for it */

/* The entry of a lost thread for this lock; NULL: none. */
const struct held *held_by_lost(const void *lock, const struct thread **holder);

/* Writes RECORD_STUCK, with the caller's stack from `site` on.  It does not return if `ends`. */
struct stuck_at {
  enum stuck what;
  enum lock_kind kind;
  const void *object;
  const struct thread *holder; /* NULL: nobody */
  pid_t holder_tid;            /* its identity in the parent */
  const void *holder_site;
  const char *function;
  const void *site;
  bool ends;
};
void held_stuck(const struct stuck_at *at);
void stack_take_from(struct stack *stack, const void *site);

bool semaphore_is_shared(const void *semaphore); /* as it was initialised */
bool memory_is_shared(const void *address);      /* with another process */

#endif
