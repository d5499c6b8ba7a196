/* SPDX-License-Identifier: MIT */
/*
 * A part of the library where coverage is measured: lets the tests write down what was run here.  The function that
 * does it is hidden in each program and shared object, and the tests' children leave by _exit(), which calls none.
 */
#include <gcov.h>
#include <stddef.h>

/* Of test/lib/forks.c; not there in programs that have no such children. */
extern void (*coverage_dump)(void) __attribute__((weak));

/* There may be several copies of the library. */
static void (*dump_next)(void);

static void dump(void) {
  __gcov_dump();
  if (dump_next != NULL) dump_next();
}

__attribute__((constructor)) static void offer_dump(void) {
  if (&coverage_dump == NULL) return;
  dump_next = coverage_dump;
  coverage_dump = dump;
}

/* One that is unloaded is the last that was loaded. */
__attribute__((destructor)) static void take_back_dump(void) {
  if (&coverage_dump != NULL && coverage_dump == dump) coverage_dump = dump_next;
}
