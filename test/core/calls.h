/* SPDX-License-Identifier: MIT */
/* A call of each function of the API; and what a process that is made in the middle of the call sees and can do. */
#ifndef ATFORK_TEST_CALLS_H
#define ATFORK_TEST_CALLS_H

#include <atfork.h>
#include <stdbool.h>
#include <stddef.h>

struct call {
  const char *name;
  void (*arrange)(void);
  void (*call)(void);
  void (*expect)(void);
  bool is_in_matrix; /* which has handlers fork in it */
};
extern const struct call calls[];
extern const size_t calls_count;

/* Once, first: registers the hooks that are always there. */
void add_base(void);

/* Before each call: what it needs is there, and nothing ran. */
void arrange_call(const struct call *call);

/* Whether the hooks that are always there ran in this process. */
bool base_ran(void);

/* In a child, whatever its parent was in the middle of. */
void use_everything(bool bypassed);

extern atfork_id under_way; /* the hook that the interrupted call unregisters, or 0 */
extern int destroyed;       /* how often its destroy ran */
bool has_under_way(void);   /* whether it is registered here */

/* For a call that needs no more than that. */
void no_arrangement(void);

#endif
