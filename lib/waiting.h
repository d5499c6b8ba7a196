/* SPDX-License-Identifier: MIT */
/*
 * Says on stderr what a thread waits for, if ATFORK_DEBUG was set as the program started: after 1 s, after 10 s, and
 * then whenever the wait has doubled.  With write(2) alone, so wherever the thread is.
 *
 *   struct waiting waiting = {.who = "fork()", .what = "a hook"};
 *   while (it is not so) {
 *     sleep a while
 *     atfork_waiting_tell(&waiting);
 *   }
 *
 * Without ATFORK_DEBUG a debugger tells: each loop that may wait for ever sleeps in a function of its own, which is
 * named for what it waits for.
 */
#ifndef ATFORK_WAITING_H
#define ATFORK_WAITING_H

#include <stdint.h>

struct waiting {
  const char *who;  /* the call that waits */
  const char *what; /* that it waits for */
  const char *name; /* of the hook; NULL: none */
  uint64_t id;      /* of the hook; 0: none */
  const char *why;  /* NULL: that is said already */
  uint64_t number;  /* that belongs to it; 0: none */
  /* Private: when the wait began, in ms, 0 before that; and after how many the next line is due. */
  uint64_t since;
  uint64_t due;
};

void atfork_waiting_tell(struct waiting *waiting);

/* For such a function: a backtrace shows it, and its arguments if they are kept until after its sleep. */
#define WAITING_NAMED __attribute__((noinline, used)) static
#define WAITING_KEEP(argument) __asm__ volatile("" : : "r"(argument))

#endif
