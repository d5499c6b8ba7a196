/* SPDX-License-Identifier: MIT */
/*
 * A fork under way, or the callbacks that such a one has missed.  What it runs is fixed as it begins: a hook that is
 * unregistered meanwhile gets the rest of it, and one that is registered has no part in it.
 *
 * With greenlets several forks of one thread are under way at once, and end in any order.  So which one a callback
 * belongs to is noted in a context variable: each greenlet, as each thread, has a context of its own.
 */
#ifndef ATFORK_PYTHON_FRAME_H
#define ATFORK_PYTHON_FRAME_H

#include "plan.h"

struct frame {
  struct frame *next; /* of all threads */
  struct plan *plan;
  unsigned long thread;
  uint64_t ticket;
  uint64_t outer;             /* the ticket of the fork in whose callback this one began; or 0 */
  uint64_t serial;            /* of the latest hook that may have a part in it */
  const struct step *running; /* of a parent or child callback; NULL: none runs */
  bool is_armed;              /* prepared: it is one of the next forks of this thread */
  bool prepared_in_c;         /* those prepares that are C functions have run */
  char prepared[];            /* of each other prepare */
};

enum { NOT_PREPARED, PREPARED, RAISED };

/* How many frames of this thread are armed.  Read inside fork(2), without the GIL; a child's thread inherits it. */
extern _Thread_local unsigned frames_armed __attribute__((tls_model("initial-exec")));

/* Takes the plan over.  Without memory the error is shown, and NULL returned: the fork goes on without. */
struct frame *frame_begin(struct registry *registry, struct plan *plan);
void frame_end(struct registry *registry, struct frame *frame);

/* It is prepared; and the one that this thread, or greenlet, has prepared, which is no longer (NULL: it is
 * another's). */
void frame_arm(struct frame *frame);
struct frame *frame_disarm(const struct registry *registry);

/* The innermost fork that this thread, or greenlet, is inside of; NULL. */
struct frame *frame_own(const struct registry *registry);

/* Whether a fork is under way in this thread, or, with greenlets, one of them. */
bool frame_is_here(const struct registry *registry);

/* In a new process: the other threads are gone; this one's greenlets are there. */
void frame_keep_own(struct registry *registry);

/* Waits for the forks of other threads that have begun by now, and that the hook has a part in. */
void frame_wait(struct registry *registry, uint64_t serial);

#endif
