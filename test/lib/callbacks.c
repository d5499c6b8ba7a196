/* SPDX-License-Identifier: MIT */
#include "callbacks.h"

void nothing(void *unused) {
  (void)unused;
}

void increment(void *number) {
  ++*(int *)number;
}

int count_hook(const struct atfork_info *info, void *number) {
  (void)info;
  ++*(int *)number;
  return 0;
}
