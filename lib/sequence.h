/* SPDX-License-Identifier: MIT */
/*
 * The library's clock: counts commits, each registration, unregistration, and new table.  Walks begin at a
 * sequence, hooks are added and retired at one, and comparing the two decides everything.
 *
 * All sequentially consistent, as beginning a walk against retiring a hook is (frame.h).
 */
#ifndef ATFORK_SEQUENCE_H
#define ATFORK_SEQUENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "state.h"

static inline uint64_t sequence_now(void) {
  return atomic_load(&atfork_state.sequence);
}

/* From `next` - 1 to `next`; false when it is another one by now. */
static inline bool sequence_commit(uint64_t next) {
  uint64_t expected = next - 1;
  return atomic_compare_exchange_strong(&atfork_state.sequence, &expected, next);
}

/* Whatever it is; the new one. */
static inline uint64_t sequence_advance(void) {
  return atomic_fetch_add(&atfork_state.sequence, 1) + 1;
}

#endif
