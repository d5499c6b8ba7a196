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

/* The part of a state that belongs to this file. */
struct run {
  int depth;   /* how many callbacks are under way, one inside another */
  bool enters; /* the answer for the child hooks of the process whose mark is `decided` */
  uint64_t decided;
};

void run_open(lua_State *L, struct state *state);

/* What the core is to call for a hook that has Lua functions in these phases. */
struct atfork_hook run_callbacks(struct hook *hook, const bool has_function[PHASES]);

/* Calls the hook's function, and reports its error. */
void run_function(struct state *state, const struct hook *hook, enum phase phase);

#endif
