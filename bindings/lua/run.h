/* SPDX-License-Identifier: MIT */
/*
 * How a callback is called: on a coroutine of its own, the runner, which is there already.
 */
#ifndef ATFORK_LUA_RUN_H
#define ATFORK_LUA_RUN_H

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
  struct call call;      /* the innermost */
  int depth;             /* how many there are, one inside another */
  uint64_t decided;      /* dispatch.c: the mark of the process for whose child callbacks is decided… */
  bool enters;           /* … that they run at once */
  int functions[PHASES]; /* references to tables: a function for each slot */
  int hooks;             /* the same: what scripts hold of a hook */
  int handler, report;   /* references to functions of module.lua */
};

/* Makes the runner, when the references are there. */
void run_open(lua_State *L, struct state *state);

/* Where a script got hold of the runner between callbacks, and resumed it, the stack is not as it was. */
void run_check_layout(struct state *state);

/* Calls the function of a hook, and reports its error; false then. */
bool run_call(struct state *state, const struct hook *hook, enum phase phase, enum answer answer);

/* The same with the layout checked. */
bool run_checked(struct state *state, const struct hook *hook, enum phase phase, enum answer answer);

/* Notes whether the hook's prepare has returned, in the fork under way. */
void run_note_prepared(struct hook *hook, bool is_prepared);

/* Whether it has, in the fork of which this callback is.  One in C is run in each fork that tells. */
bool run_is_prepared(const struct call *call);

#endif
