/* SPDX-License-Identifier: MIT */
/*
 * How a callback is called: on a coroutine of its own, the runner, which is there already.
 */
#ifndef ATFORK_LUA_RUN_H
#define ATFORK_LUA_RUN_H

#include <atfork.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "hook.h"

/* A callback that is under way. */
struct call {
  const struct hook *hook;
  enum phase phase;
  enum answer { NOW, LATE, LATE_AND_PREPARED } answer; /* whether it had to wait, and what prepared() says then */
};

/* The part of a state that belongs to this file. */
struct run {
  struct call call; /* the innermost */
  int depth;        /* how many there are, one inside another */
};

/* What lies on the runner's stack, for good: callbacks are called with nothing but a look into a table. */
enum { RUN_HANDLER = 1, RUN_FUNCTIONS, RUN_LAYOUT = RUN_FUNCTIONS + PHASES - 1 };

void run_open(lua_State *L, struct state *state);

/* Where a script got hold of the runner between callbacks, and resumed it, the stack is not as it was. */
void run_check_layout(struct state *state);

/* Calls the function of a hook, and reports its error; false then.  In a fork; the same with the layout checked; and of
 * a hook that has waited. */
bool run_call(struct state *state, const struct hook *hook, enum phase phase, enum answer answer);
bool run_now(const struct hook *hook, enum phase phase);
void run_late(struct state *state, const struct hook *hook, enum phase phase, bool is_prepared);

/* Notes whether the hook's prepare has returned, in the fork under way. */
void run_note_prepared(const struct hook *hook, bool is_prepared);

/* Whether it has, in the fork of which this callback is.  One in C is run in each fork that tells. */
bool run_is_prepared(const struct call *call);
bool run_is_prepared_in_c(const struct hook *hook);

#endif
