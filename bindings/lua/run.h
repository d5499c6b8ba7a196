/* SPDX-License-Identifier: MIT */
/*
 * How a callback is called: on a separate coroutine, the runner, which was made beforehand.
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
  enum answer { NOW, LATE, LATE_AND_PREPARED } answer; /* whether it had to wait, and the answer of prepared() then */
};

/* The part of a state that belongs to this file. */
struct run {
  struct call call;      /* the innermost */
  int depth;             /* how many callbacks are under way, one inside another */
  uint64_t decided;      /* dispatch.c: the mark of the process for whose child callbacks it is decided… */
  bool enters;           /* … that they run at once */
  int functions[PHASES]; /* references to tables: a function for each slot */
  int hooks;             /* the same: the scripts' objects for hooks */
  int handler, report;   /* references to functions of module.lua */
};

/* Makes the runner, after the references were made. */
void run_open(lua_State *L, struct state *state);

/* Restores the stack: a script may have got the runner between callbacks, and resumed it. */
void run_check_layout(struct state *state);

/* Calls the function of a hook.  If it fails, reports the error and returns false. */
bool run_call(struct state *state, const struct hook *hook, enum phase phase, enum answer answer);

/* The same, but checks the stack first. */
bool run_checked(struct state *state, const struct hook *hook, enum phase phase, enum answer answer);

/* Stores whether the hook's prepare has returned, in the fork under way. */
void run_note_prepared(struct hook *hook, bool is_prepared);

/* Whether it has, in the fork that this callback belongs to.  A prepare in C runs in each fork that runs handlers. */
bool run_is_prepared(const struct call *call);

#endif
