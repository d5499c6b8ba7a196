/* SPDX-License-Identifier: MIT */
/*
 * The page that the kernel wipes at each fork: what is true of one process only.  Every child starts with
 * it zero, however it was made and whatever other threads were doing.
 *
 * Where the kernel cannot wipe it, process.c clears it when it sees that the pid changed.
 */
#ifndef ATFORK_TRANSIENT_H
#define ATFORK_TRANSIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "event.h"

struct transient {
  /* process.c: generation + 1 once this process has looked; stays 0 where the page is not wiped.  First, as
   * callers read it through atfork_mark(). */
  _Atomic uint64_t mark;
  /* process.c: the address of this process's identity; odd while that is being made; 0: it has none */
  _Atomic uintptr_t self;
  /* process.c: what this process has drawn to take a lineage with; 1: it is being drawn; 0: nothing */
  _Atomic uint64_t ticket;
  /* process.c: where the page is not wiped, the process that it is of, or the complement of that while it is being
   * cleared */
  _Atomic uint64_t process;
  /* lock.c: the address of the owner's struct thread, or 0 */
  _Atomic uintptr_t owner;
  struct event lock_free;
  /* frame.c */
  struct event walk_ended;
  /* fork.c: what this process has cleared away of what other threads of its parent left: nothing, their frames, all */
  _Atomic int settled;
  /* fork.c: a child writes here before it reads, which would be a fault of its own: of the zero page */
  _Atomic bool touched;
  /* once.c */
  struct event init_ended;
};

/* Never NULL.  Set once by process.c, before anything in it is used. */
extern struct transient *_Atomic atfork_transient;

static inline struct transient *transient(void) {
  return atomic_load_explicit(&atfork_transient, memory_order_acquire);
}

#endif
