/* SPDX-License-Identifier: MIT */
/*
 * A fork under way, or a run of callbacks that a fork has missed.  Its hooks are fixed when it begins: a hook that is
 * unregistered meanwhile still gets the rest of the fork, and a hook that is registered meanwhile takes no part.
 *
 * With greenlets, several forks of one thread may be under way at once, and end in any order.  So a context variable
 * has the ticket of the fork that a callback belongs to: each greenlet and each thread has its own context.
 */
#ifndef ATFORK_PYTHON_FRAME_H
#define ATFORK_PYTHON_FRAME_H

#include "plan.h"

struct frame {
  struct frame *next; /* of all threads */
  struct plan *plan;
  unsigned long thread;
  uint64_t ticket;
  uint64_t outer;             /* the ticket of the fork in whose callback this one began; 0: none */
  uint64_t serial;            /* of the latest hook that may take part in it */
  const struct step *running; /* of a parent or child callback; NULL: none runs */
  bool is_armed;              /* prepared: one of the next forks of this thread belongs to it */
  bool prepared_in_c;         /* the prepare callbacks in C have run */
  char prepared[];            /* for each other prepare callback */
};

enum { NOT_PREPARED, PREPARED, RAISED };

/* How many frames of this thread are armed.  Read inside fork(2), without the GIL; a child's thread inherits it. */
extern _Thread_local unsigned frames_armed __attribute__((tls_model("initial-exec")));

/* Owns the plan from now on.  Without memory, reports the error and returns NULL: the fork goes on without hooks. */
struct frame *frame_begin(struct registry *registry, struct plan *plan);
void frame_end(struct registry *registry, struct frame *frame);

/* Marks it as prepared; returns the one that this thread or greenlet has prepared, and removes the mark (NULL: there is
 * none). */
void frame_arm(struct frame *frame);
struct frame *frame_disarm(const struct registry *registry);

/* The innermost fork that this thread or greenlet is inside; NULL: none. */
struct frame *frame_own(const struct registry *registry);

/* Whether a fork is under way in this thread, in any of its greenlets. */
bool frame_is_here(const struct registry *registry);

/* In a new process: frees the frames of lost threads, and keeps those of this thread's greenlets. */
void frame_keep_own(struct registry *registry);

/* Waits for the forks of other threads that have begun by now, and in which the hook takes part. */
void frame_wait(struct registry *registry, uint64_t serial);

#endif
