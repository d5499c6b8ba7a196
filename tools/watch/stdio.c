/* SPDX-License-Identifier: MIT */
/* Output that is in a stream at a fork. */
#include "watch.h"

void stdio_before_fork(uint64_t id) {
  (void)id;
}
