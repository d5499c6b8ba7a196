/* SPDX-License-Identifier: MIT */
/*
 * The callbacks of a hook that are due, for languages that may not run them inside fork().  Each hook has a word, which
 * contains the mark of the process.  So what was due in a parent is not due in its child, and nothing has to be cleared
 * at a fork.
 *
 * Any thread may add a callback, also inside fork(): this allocates nothing, and takes no lock.
 */
#ifndef ATFORK_COMMON_DUE_H
#define ATFORK_COMMON_DUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "phase.h"

/* The mark of a process is its generation + 1; no process has 0. */
uint64_t due_mark(void);

typedef _Atomic uint64_t due_word; /* 0: nothing */

struct due {
  uint32_t parents; /* how many parent callbacks */
  bool child;
  bool
      prepared; /* whether the hook's prepare ran: the same for all, as only a prepare in C runs where callbacks wait */
};

/* Adds a parent or child callback, in the process of this mark. */
void due_add(due_word *word, uint64_t mark, enum phase phase, bool is_prepared);

/* Takes what is due in the process of this mark, and drops what another process left. */
struct due due_take(due_word *word, uint64_t mark);

#endif
