/* SPDX-License-Identifier: MIT */
#include "place.h"

#include <atfork.h>
#include <stdatomic.h>
#include <stdint.h>

const char *const place_words[] = {
    [ATFORK_ROOT] = "root",       [ATFORK_FORKED] = "forked",   [ATFORK_SPAWNED] = "spawned",
    [ATFORK_ADOPTED] = "adopted", [ATFORK_UNKNOWN] = "unknown",
};

bool place_is_to_be_warned_of(void) {
  static _Atomic uint64_t told; /* the mark of the process that was warned: its generation + 1 */
  if (atfork_place() != ATFORK_UNKNOWN) return false;
  uint64_t mark = atfork_generation() + 1;
  return atomic_exchange(&told, mark) != mark;
}
