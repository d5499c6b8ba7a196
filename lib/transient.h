/* SPDX-License-Identifier: MIT */
/*
 * The state that belongs to one process: a page that the kernel wipes at each fork.  Every child finds it zero, however
 * the child was made, and whatever other threads were doing.
 *
 * If the kernel cannot wipe the page, process.c clears it when it finds that the pid has changed.
 */
#ifndef ATFORK_TRANSIENT_H
#define ATFORK_TRANSIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "event.h"

struct transient {
  /* process.c: generation + 1 after the first look; always 0 where the page is not wiped.  Callers read it through
   * atfork_mark(). */
  _Atomic uint64_t mark;
  /* process.c: the address of this process's identity; odd while the identity is being made; 0 before that */
  _Atomic uintptr_t self;
  /* process.c: the ticket with which this process takes a lineage; 1: it is being drawn; 0: not drawn */
  _Atomic uint64_t ticket;
  /* process.c, where the page is not wiped: the pid of the process that the page belongs to; its complement while a
   * thread clears the page */
  _Atomic uint64_t process;
  /* lock.c: the address of the owner's struct thread, or 0 */
  _Atomic uintptr_t owner;
  struct event lock_free;
  /* frame.c */
  struct event walk_ended;
  /* fork.c: how much of what lost threads left this process has repaired, an enum settling */
  _Atomic int settled;
  /* fork.c: a child writes here before it reads the page.  To read first would be one fault more, for the zero page */
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
