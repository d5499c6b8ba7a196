/* SPDX-License-Identifier: MIT */
/*
 * A Lua state that has loaded the module: all data for it, and the entry of each call from it.
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
 * It outlives lua_close() while the core has hooks of it, in a fork under way.  A member named after a file belongs to
 * this file.
 */
struct state {
  lua_State *main;       /* NULL: not yet known, in Lua 5.1 and LuaJIT, until the main coroutine calls us */
  lua_State *latest;     /* the coroutine that called us last; the registry has a reference to it */
  lua_State *runner;     /* the coroutine that callbacks run in */
  bool is_polling;       /* inside poll() or a similar function, and so inside the state */
  bool has_pulse;        /* a userdata exists whose finaliser the collector will call */
  _Atomic bool closed;   /* Lua is gone */
  _Atomic size_t owners; /* Lua, and each hook that the core has */
  int latest_reference;
  int pulse_metatable; /* a reference, as the next one */
  struct inside inside;
  struct run run;
  struct waiting waiting;
  struct hooks hooks;
};

/* Makes it, and pushes a userdata that ends it when Lua closes.  The userdata has a pointer to it, which is NULL after
 * that. */
struct state *state_open(lua_State *L);

/* Decrements the number of owners, and frees it at 0. */
void state_disown(struct state *state);

/* At the start of each call from Lua: notes that this thread is inside, and runs the callbacks that wait.  NULL: the
 * state is being closed. */
struct state *state_enter(lua_State *L);

/* The same, faster, in a C function whose first upvalue is this userdata. */
struct state *state_enter_quickly(lua_State *L);

/* The state of the coroutine L; NULL: it is being closed. */
struct state *state_of(lua_State *L);

/* Pops a function, and pushes a userdata that calls the function when it is collected. */
void state_push_finalised(lua_State *L);

#endif
