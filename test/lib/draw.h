/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same in each run, by SplitMix64.  The state begins as any number. */
#ifndef ATFORK_TEST_DRAW_H
#define ATFORK_TEST_DRAW_H

#include <stdint.h>

static inline uint64_t draw(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* From 0 to below `end`. */
static inline unsigned draw_below(uint64_t *state, unsigned end) {
  return (unsigned)(draw(state) % end);
}

#endif
