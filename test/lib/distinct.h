/* SPDX-License-Identifier: MIT */
/* Checks whether numbers are all different, and sorts them for that. */
#ifndef ATFORK_TEST_DISTINCT_H
#define ATFORK_TEST_DISTINCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline int distinct_compare(const void *a, const void *b) {
  uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
  return (one > other) - (one < other);
}

static inline bool are_distinct(uint64_t *numbers, size_t count) {
  qsort(numbers, count, sizeof *numbers, distinct_compare);
  for (size_t i = 1; i < count; i++)
    if (numbers[i - 1] == numbers[i]) return false;
  return true;
}

#endif
