/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: a call is made once for each request that it makes of the system, in a process of its own, in which
 * that request is refused; and again with all later ones refused, too.
 */
#ifndef ATFORK_TEST_TORTURE_H
#define ATFORK_TEST_TORTURE_H

#include <atfork.h>
#include <stdbool.h>

/* What is called, and what is true around it. */
struct scenario {
  const char *name;
  void (*arrange)(void); /* before it; may be NULL */
  bool (*call)(void);    /* true: it has done all of its work; false: it said so by errno ENOMEM, and did nothing */
  void (*undo)(void);    /* takes a successful call back, so that it can be made again; NULL: it cannot be */
  int adds;              /* how many hooks there are more, after a call that was successful */
  bool may_fail;         /* else it does without what it is refused */
  int least;             /* so many requests it makes at least: with fewer the test would test nothing; 0: maybe none */
};

/* In a test: makes the call in each turn; in how many of them it failed.  ATFORK_TEST_TORTURE=K also refuses 2, …, K
 * requests in a row. */
int torture(const struct scenario *scenario);

/* Three hooks that are to run in each fork, whatever else happens, and how many there are in all. */
void torture_add_hooks(void);
extern int torture_hooks;

/* Nothing is lost, and nothing is there twice: each hook runs once in a real fork, and in that of its child. */
void torture_expect_unharmed(void);

/* In a child that the call has made: ends it when its hooks ran as they should.  `ran`: how often each ran there. */
_Noreturn void torture_child_ends(int ran);

#endif
