/* SPDX-License-Identifier: MIT */
/*
 * Hooks that count how often each of their callbacks ran.
 */
#ifndef ATFORK_TEST_COUNTS_H
#define ATFORK_TEST_COUNTS_H

#include <atfork.h>

/* How often each callback ran, as this process remembers: a child's memory has its parent's `prepare`. */
struct counts {
  int prepared;
  int parented;
  int childed;
  int destroyed;
};

extern struct counts one, two;
extern atfork_id one_id, two_id;

/* Makes both zero, for the next test. */
void start(void);

/* A hook that counts there; and its callbacks, for others. */
atfork_id add(struct counts *counts);
void prepare(void *counts);
void parent(void *counts);
void child(void *counts);
void destroy(void *counts);

#define expect(counts, p, q, c)                  \
  do {                                           \
    g_assert_cmpint((counts).prepared, ==, (p)); \
    g_assert_cmpint((counts).parented, ==, (q)); \
    g_assert_cmpint((counts).childed, ==, (c));  \
  } while (0)
#define child_expect(counts, p, q, c)            \
  do {                                           \
    child_check_int((counts).prepared, ==, (p)); \
    child_check_int((counts).parented, ==, (q)); \
    child_check_int((counts).childed, ==, (c));  \
  } while (0)

#endif
