/* SPDX-License-Identifier: MIT */
/*
 * Memory that all processes of a tree share, as a fork does not copy it.  It keeps their names different, also if they
 * have inherited nothing that differs.  Any process of the tree may write anything there, so only names depend on it.
 */
#ifndef ATFORK_TREE_H
#define ATFORK_TREE_H

#include <stdbool.h>
#include <stdint.h>

/* To be called once, when the library is loaded.  If there is no memory, two processes may get one name. */
void atfork_tree_loaded(void);

/* A number that no other process of the tree gets: the pid; if a process may have had this number before, the pid plus
 * a multiple of 10,000,000. */
uint64_t atfork_tree_number(uint64_t pid);

/* Draws a ticket, which no other process has; it is neither 0 nor 1. */
uint64_t atfork_tree_draw(void);

/* Takes the lineage with this hash for the process with this ticket; false if another process has taken it. */
bool atfork_tree_take(uint64_t lineage, uint64_t ticket);

#endif
