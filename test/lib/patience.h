/* SPDX-License-Identifier: MIT */
/* How long a test waits for an event that must happen. */
#ifndef ATFORK_TEST_PATIENCE_H
#define ATFORK_TEST_PATIENCE_H

#include <stdlib.h>

/* How many times as long things take here as on an idle machine, as script/test says. */
static inline int slowness(void) {
  const char *times = getenv("ATFORK_TEST_SLOWNESS");
  int number = times == NULL ? 1 : atoi(times);
  return number > 0 ? number : 1;
}

/* Seconds until a wait is given up.  For alarm(), too: a child that hangs ends. */
static inline unsigned patience(void) {
  return 60 * (unsigned)slowness();
}

#endif
