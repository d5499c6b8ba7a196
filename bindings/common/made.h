/* SPDX-License-Identifier: MIT */
/*
 * The values that per_process made in this process and in its ancestors: a process must not finalise a value of an
 * ancestor.  They stay in a ring, even if nothing refers to them any more.  Not thread-safe: the caller holds the
 * interpreter's lock.
 */
#ifndef ATFORK_COMMON_MADE_H
#define ATFORK_COMMON_MADE_H

#include <stdbool.h>
#include <stdint.h>

struct made {
  struct made *before, *after;
  uint64_t generation; /* that it was made in */
};

/* Adds it to the ring, as made in this process; removes it.  Removing it twice changes nothing. */
void made_add(struct made *made);
void made_remove(struct made *made);

/* Whether an ancestor of this process made it. */
bool made_is_inherited(const struct made *made);

/* The next inherited one after this one (NULL: the first); NULL: there is none. */
struct made *made_next_inherited(struct made *made);

/* This process has taken a place in the tree, and so a new generation: values that it made before are its own. */
void made_place_taken(void);

#endif
