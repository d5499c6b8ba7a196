/* SPDX-License-Identifier: MIT */
/*
 * The instructions of a shared library that a call comes to, one after the other, and a breakpoint before any of them.
 * The processor's trap flag finds them, once; a breakpoint costs one signal where stepping to it costs thousands.
 * x86-64 only.
 */
#ifndef ATFORK_TEST_PLACES_H
#define ATFORK_TEST_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLACES = 1 << 17 };

/* In memory that processes share. */
struct places {
  size_t count;
  uintptr_t at[PLACES];
};

/* Once, first: the library that an address is in.  False when the system does not let code be written to. */
bool places_in(const void *inside);

/* How far into the library an address is, for addr2line. */
uintptr_t places_offset(uintptr_t at);

/* From here on, or no more, each instruction of the library that this thread comes to is added to `places`. */
void places_trace(struct places *places);
void places_trace_end(void);

/* Has act() called, once, in a signal handler before the instruction that was traced as `which`. */
void places_break(const struct places *places, size_t which, void (*act)(void));

/* No more, if that has not happened. */
void places_break_not(void);

#endif
