/* SPDX-License-Identifier: MIT */
/*
 * A signal at one certain instruction of the library.  The processor's trap flag raises a SIGTRAP after each
 * instruction; the library's state, or the instruction, tells the handler whether it is the right one.  x86-64 only.
 */
#ifndef ATFORK_TEST_STEPS_H
#define ATFORK_TEST_STEPS_H

#include <stdbool.h>
#include <ucontext.h>

/* From here on, or no more, a SIGTRAP after each instruction of this thread. */
void step_begin(void);
void step_end(void);
/* In the handler: no more when it has returned; or from then on. */
void step_no_more(ucontext_t *context);
void step_on(ucontext_t *context);
/* In the handler of each step: keeps the thread from blocking SIGTRAP, as the next step would end the process. */
void step_keep(ucontext_t *context);

/*
 * Calls call(), and, once in it, act(): in a signal handler, before the first instruction at which is_there() says so.
 * A child that act() makes may return, and goes on with the call.  False when that was nowhere.
 */
bool interrupt(void (*call)(void), bool (*is_there)(const ucontext_t *context), void (*act)(void));

/* Whether the next instruction is the first of a function. */
bool is_at(const ucontext_t *context, void (*function)(void));

/* Whether this build has code beside its own, that counts coverage or checks addresses. */
bool has_more_instructions(void);

/* Whether the next instruction is an exchange, after a comparison or with a sum, of what lies at `address`. */
bool is_exchange(const ucontext_t *context, const volatile void *address);

/* Whether the next instruction loads the 64 bits at `address`. */
bool is_load(const ucontext_t *context, const volatile void *address);

#endif
