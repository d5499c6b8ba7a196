/* SPDX-License-Identifier: MIT */
/*
 * A Lua state that has the module: all that is kept for it, found from any of its coroutines.
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

/* The answer for all child hooks of the process that has this mark: whether they run at once. */
struct dispatch {
  uint64_t decided;
  bool enters;
};

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
  bool has_pulse;        /* enter.c: the collector will call */
  bool takes_place;      /* inside spawned() */
  bool keeps_inherited;  /* per_process.h: its hook is registered */
  _Atomic bool closed;   /* Lua is gone */
  _Atomic size_t owners; /* Lua, and each hook that the core has */
  struct inside inside;
  struct run run;
  struct dispatch dispatch;
  struct waiting waiting;
  struct hooks hooks;
};

/* Makes it, to be ended by `close` as the __gc of a userdata, which has a pointer to it. */
struct state *state_new(lua_State *L, lua_CFunction close);
bool state_is_there(lua_State *L);

/* Of the Lua state that L is a coroutine of; NULL when that is being closed. */
struct state *state_of(lua_State *L);

/* Pushes that userdata. */
void state_push_place(lua_State *L);

/* Ends one owner's part in it. */
void state_disown(struct state *state);

#endif
