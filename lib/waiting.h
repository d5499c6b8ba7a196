/* SPDX-License-Identifier: MIT */
/*
 * Reports on stderr what a thread waits for, if ATFORK_DEBUG was set when the program started: after 1 s, after 10 s,
 * and whenever the wait has doubled.  Of the C library it calls only write(2) and a clock, so it may be called
 * anywhere.
 *
 *   struct waiting waiting = {.who = "fork()", .what = "a hook"};
 *   while (the condition is false) {
 *     sleep for a while
 *     atfork_waiting_tell(&waiting);
 *   }
 *
 * Without ATFORK_DEBUG a debugger shows it: each loop that may wait for ever sleeps in a function of its own, whose
 * name says what it waits for.
 */
#ifndef ATFORK_WAITING_H
#define ATFORK_WAITING_H

#include <stdint.h>

struct waiting {
  const char *who;  /* the call that waits */
  const char *what; /* what it waits for */
  const char *name; /* of the hook; NULL: none */
  uint64_t id;      /* of the hook; 0: none */
  const char *why;  /* NULL: `what` says it all */
  uint64_t number;  /* that belongs to `why`; 0: none */
  /* Private: when the wait began, in ms, 0 before that; and after how many ms the next line is due. */
  uint64_t since;
  uint64_t due;
};

void atfork_waiting_tell(struct waiting *waiting);

/* For such a function: it appears in a backtrace, with those arguments that WAITING_KEEP() keeps until after the sleep.
 */
#define WAITING_NAMED __attribute__((noinline, used)) static
#define WAITING_KEEP(argument) __asm__ volatile("" : : "r"(argument))

#endif
