/* SPDX-License-Identifier: MIT */
/*
 * A part of the library where coverage is measured: lets the tests write down what was run here.  The function that
 * does it is hidden in each program and shared object, and the tests' children leave by _exit(), which calls none.
 */
#include <gcov.h>
#include <stddef.h>

/* Of test/lib/forks.c; not there in programs that have no such children. */
extern void (*coverage_dump)(void) __attribute__((weak));

__attribute__((constructor)) static void offer_dump(void) {
  if (&coverage_dump != NULL) coverage_dump = __gcov_dump;
}
