/* SPDX-License-Identifier: MIT */
/*
 * A Lua state that has the module: all that is kept for it, and how each call from it comes in.
 */
#ifndef ATFORK_LUA_STATE_H
#define ATFORK_LUA_STATE_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "hook.h"
#include "inside.h"
#include "run.h"
#include "waiting.h"

/*
 * It outlives lua_close() while the core has hooks of it: those that a fork under way still takes part in.  A member
 * that is called as a file belongs to that.
 */
struct state {
  lua_State *main;       /* NULL while it is not known: Lua 5.1 and LuaJIT, until it is what calls us */
  lua_State *latest;     /* the coroutine that called us last; the registry keeps it */
  lua_State *runner;     /* the coroutine that callbacks run in */
  bool is_polling;       /* inside poll() or its like, and so inside the state */
  bool has_pulse;        /* the collector will call */
  _Atomic bool closed;   /* Lua is gone */
  _Atomic size_t owners; /* Lua, and each hook that the core has */
  int latest_reference;
  int pulse_metatable; /* a reference, as the next one */
  struct inside inside;
  struct run run;
  struct waiting waiting;
  struct hooks hooks;
};

/* Makes it, and pushes a userdata that ends it when Lua closes: it has a pointer to it, which is NULL from then on. */
struct state *state_open(lua_State *L);

/* Ends one owner's part in it. */
void state_disown(struct state *state);

/* At the start of each call from Lua: notes that this thread is inside, and runs what waits for that.  NULL when the
 * state is being closed. */
struct state *state_enter(lua_State *L);

/* The same in a C function that has that userdata as its first upvalue, and so need not look for it. */
struct state *state_enter_quickly(lua_State *L);

/* Of the Lua state that L is a coroutine of: NULL when that is being closed. */
struct state *state_of(lua_State *L);

/* Pushes a userdata that has the function on top, which it takes, called when it is collected. */
void state_push_finalised(lua_State *L);

#endif
