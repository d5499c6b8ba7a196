/* SPDX-License-Identifier: MIT */
/*
 * The library's clock.  It counts commits: registrations, unregistrations, and new tables.  A walk begins at a
 * sequence, and hooks are added and retired at sequences; comparing these says whether the walk sees a hook.
 *
 * All accesses are sequentially consistent, for "beginning against retiring" (frame.h).
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

/* Advances the sequence from `next` - 1 to `next`; false if it is no longer `next` - 1. */
static inline bool sequence_commit(uint64_t next) {
  uint64_t expected = next - 1;
  return atomic_compare_exchange_strong(&atfork_state.sequence, &expected, next);
}

/* Advances the sequence from any value; returns the new one. */
static inline uint64_t sequence_advance(void) {
  return atomic_fetch_add(&atfork_state.sequence, 1) + 1;
}

#endif
