/* SPDX-License-Identifier: MIT */
/*
 * What a hook has due, for languages that may not run it inside fork(): a word for each hook, which says in which
 * process.  So what a child inherits from its parent is not due there, and nothing has to be cleared at a fork.
 *
 * Any thread may add, from inside fork(), too: that allocates nothing, and takes no lock.
 */
#ifndef ATFORK_COMMON_DUE_H
#define ATFORK_COMMON_DUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "phase.h"

/* The mark of a process is its generation + 1; 0 is none's. */
uint64_t due_mark(void);

typedef _Atomic uint64_t due_word; /* 0: nothing */

struct due {
  uint32_t parents; /* how many parent callbacks */
  bool child;
  bool prepared; /* whether the hook's prepare ran: one answer for all, as only one in C runs where callbacks wait */
};

/* A parent or child callback, in the process of this mark. */
void due_add(due_word *word, uint64_t mark, enum phase phase, bool is_prepared);

/* Takes what is due in the process of this mark; what is another's is dropped. */
struct due due_take(due_word *word, uint64_t mark);

#endif
