/* SPDX-License-Identifier: MIT */
#include "seen.h"

#include <stdint.h>
#include <string.h>

#include "log.h"
#include "target.h"

/* The section that clang puts a byte in for each edge of the library's code; none where nothing watches it. */
extern uint8_t __start___sancov_cntrs[] __attribute__((weak));
extern uint8_t __stop___sancov_cntrs[] __attribute__((weak));

static size_t size(void) {
  size_t all = (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
  expect(all <= sizeof shared->seen);
  return all;
}

void seen_begin(void) {
  memset(shared->seen, 0, sizeof shared->seen);
}

/* Two processes may do so at once: of an edge that both have run, the count of one is as good. */
static void raise(uint8_t *to, const uint8_t *from) {
  for (size_t i = 0; i < size(); i++)
    if (from[i] > to[i]) to[i] = from[i];
}

void seen_add(void) {
  raise(shared->seen, __start___sancov_cntrs);
}

void seen_take(void) {
  raise(__start___sancov_cntrs, shared->seen);
}
