/* SPDX-License-Identifier: MIT */
/*
 * Two threads of one process that meet at one place: the other thread reaches the place first.  Each case has a process
 * of its own.
 */
#ifndef ATFORK_TEST_MEETING_H
#define ATFORK_TEST_MEETING_H

#include <atfork.h>
#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

#include "forks.h"
#include "steps.h"

/* ---- The other thread ---- */

/* What `entered` and `leave` are opened by, and for, is up to each case. */
extern struct gate entered, leave;

void start_other(void *(*run)(void *unused));
void join_other(void);
void let_other_leave(void);
/* And joins it. */
void have_other_leave(void);

/* Called once, when a thread is about to sleep for an event. */
extern void (*while_sleeping)(void);
void tell_of_sleep(void); /* opens `entered` */

/* How often a thread slept, and how often one was woken. */
extern int sleeps, wakes;

/* ---- Hooks ---- */

extern atfork_id id, second;
extern int destroyed;

/* A hook, which counts in `destroyed`. */
atfork_id add(void);
/* Unregisters `id`, and expects its end. */
void unregister(void);
/* Registers `second`. */
void call_register(void);
/* Registers a hook, and unregisters it. */
void come_and_go(void);

/* ---- Places: whether an update of this thread is under way, or is about to be committed ---- */

bool is_updating(const ucontext_t *context);
bool is_planned(const ucontext_t *context);

/* ---- Cases ---- */

struct test_case {
  const char *path;
  void (*run)(void);
};

void add_case(const struct test_case *of);

#endif
