/* SPDX-License-Identifier: MIT */
/*
 * What all processes of a tree share: memory that a fork does not copy.  By it they have different names, also where
 * nothing that they have inherited tells them apart.  Any of them may write there what it likes, so nothing but names
 * depends on it.
 */
#ifndef ATFORK_TREE_H
#define ATFORK_TREE_H

#include <stdbool.h>
#include <stdint.h>

/* Called once, when the library is loaded.  Without memory a name may be given twice. */
void atfork_tree_loaded(void);

/* A number that is given to no other process of the tree: the pid; and, if that may have been given before, a multiple
 * of 10,000,000 more. */
uint64_t atfork_tree_number(uint64_t pid);

/* A ticket that no other process draws; neither 0 nor 1. */
uint64_t atfork_tree_draw(void);

/* Takes a lineage, of which this is a hash, for the process with this ticket; false when another has taken it. */
bool atfork_tree_take(uint64_t lineage, uint64_t ticket);

#endif
