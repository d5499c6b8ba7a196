/* SPDX-License-Identifier: MIT */
/*
 * A Lua state that has the module: found from any of its coroutines, entered by each call, closed with lua_close().
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
 * It outlives lua_close() while the core has hooks of it: those that a fork under way still takes part in.  Each member
 * belongs to the file that it is named after.
 */
struct state {
  lua_State *main;   /* NULL while it is not known: Lua 5.1 and LuaJIT, until it is what calls us */
  lua_State *latest; /* the coroutine that called us last; the registry keeps it */
  lua_State *runner; /* the coroutine that callbacks run in */
  int latest_reference;
  int handle_metatable;  /* a reference */
  bool is_polling;       /* inside poll(), and so inside the state */
  bool takes_place;      /* inside spawned() */
  bool keeps_inherited;  /* per_process.h: its hook is registered */
  _Atomic bool closed;   /* Lua is gone */
  _Atomic size_t owners; /* Lua, and each hook that the core has */
  struct inside inside;
  struct run run;
  struct waiting waiting;
  struct hooks hooks;
};

/* Makes it, unless the Lua state has one. */
void state_open(lua_State *L);

/* Of the Lua state that L is a coroutine of; NULL when that is being closed. */
struct state *state_of(lua_State *L);

/* At the start of each call from Lua: notes that this thread is inside, and runs what waits for that.  As state_of().
 */
struct state *state_enter(lua_State *L);

/* Raises an error when it is being closed. */
struct state *state_enter_open(lua_State *L);

/* The same in a C function that has what this pushes as its first upvalue, and so need not look for it. */
struct state *state_enter_quickly(lua_State *L);
void state_push_place(lua_State *L);

/* Ends one owner's part in it. */
void state_disown(struct state *state);

#endif
