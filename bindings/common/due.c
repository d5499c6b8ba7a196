/* SPDX-License-Identifier: MIT */
#include "due.h"

#include <atfork.h>

/* The upper half of a word has the mark, which stays below 2^32. */
enum { MARK_SHIFT = 32, CHILD_IS_DUE = 1, IS_PREPARED = 2, A_PARENT = 4 };

static const uint32_t parents_max = UINT32_MAX / A_PARENT;

uint64_t due_mark(void) {
  return atfork_generation() + 1;
}

static bool is_of(uint64_t word, uint64_t mark) {
  return word >> MARK_SHIFT == (uint32_t)mark;
}

static uint32_t with(uint32_t what, enum phase phase, bool is_prepared) {
  if (phase == CHILD)
    what |= CHILD_IS_DUE;
  else if (what / A_PARENT < parents_max)
    what += A_PARENT;
  return is_prepared ? what | IS_PREPARED : what;
}

void due_add(due_word *word, uint64_t mark, enum phase phase, bool is_prepared) {
  uint64_t before = atomic_load_explicit(word, memory_order_relaxed), after;
  do {
    uint32_t what = is_of(before, mark) ? (uint32_t)before : 0;
    after = mark << MARK_SHIFT | with(what, phase, is_prepared);
  } while (!atomic_compare_exchange_weak(word, &before, after));
}

struct due due_take(due_word *word, uint64_t mark) {
  if (atomic_load_explicit(word, memory_order_relaxed) == 0) return (struct due){.parents = 0};
  uint64_t taken = atomic_exchange(word, 0);
  uint32_t what = is_of(taken, mark) ? (uint32_t)taken : 0;
  return (struct due){
      .parents = what / A_PARENT,
      .child = (what & CHILD_IS_DUE) != 0,
      .prepared = (what & IS_PREPARED) != 0,
  };
}
