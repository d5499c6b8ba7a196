/* SPDX-License-Identifier: MIT */
/* Descriptors that both sides of a fork use, and those that go past exec. */
#include "watch.h"

void descriptors_before_exec(const char *path) {
  (void)path;
}
