/* SPDX-License-Identifier: MIT */
/*
 * Running callbacks: what the core calls, and how Lua is entered.
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
  bool is_late;     /* it had to wait */
  bool is_prepared; /* what prepared() says of one that had */
};

/* The part of a state that belongs to this file. */
struct run {
  struct call call; /* the innermost */
  int depth;        /* how many there are, one inside another */
  bool enters;      /* the answer for the child hooks of the process whose mark is `decided` */
  uint64_t decided;
};

void run_open(lua_State *L, struct state *state);

/* What the core is to call for a hook that has Lua functions in these phases. */
struct atfork_hook run_callbacks(struct hook *hook, const bool has_function[PHASES]);

/* Calls the function of a hook that has waited. */
void run_late(struct state *state, const struct hook *hook, enum phase phase, bool is_prepared);

/* Whether the hook's prepare has run, and returned, in the fork of which this callback is. */
bool run_is_prepared(const struct call *call);

#endif
