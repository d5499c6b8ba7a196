/* SPDX-License-Identifier: MIT */
/*
 * The values that per_process made, in this process and in those above it: a process must not finalise what one above
 * it made.  They are in a ring, whoever has let go of them.  Not thread-safe: for who holds the interpreter's lock.
 */
#ifndef ATFORK_COMMON_MADE_H
#define ATFORK_COMMON_MADE_H

#include <stdbool.h>
#include <stdint.h>

struct made {
  struct made *before, *after;
  uint64_t generation; /* that it was made in */
};

/* Into the ring, as made in this process; and out of it, which again changes nothing. */
void made_add(struct made *made);
void made_remove(struct made *made);

/* Whether a process above this one made it. */
bool made_is_inherited(const struct made *made);

/* The first that was inherited, after this one (NULL: of all); NULL when there is none. */
struct made *made_next_inherited(struct made *made);

/* This process has been given a place in the tree, and with it a generation: what it made before is its own. */
void made_place_taken(void);

#endif
