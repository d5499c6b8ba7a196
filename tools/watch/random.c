/* SPDX-License-Identifier: MIT */
/* Numbers that two processes draw from copies of one state. */
#include "watch.h"

void random_in_child(uint64_t id) {
  (void)id;
}
