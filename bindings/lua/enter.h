/* SPDX-License-Identifier: MIT */
/*
 * The module's first call from a Lua state, each further one, and the last, in lua_close().
 */
#ifndef ATFORK_LUA_ENTER_H
#define ATFORK_LUA_ENTER_H

#include <lua.h>

#include "state.h"

/* Makes the state's part of the module, unless it has one. */
void enter_first(lua_State *L);

/* At the start of each call from Lua: notes that this thread is inside, and runs what waits for that.  NULL when the
 * state is being closed; the second raises an error then. */
struct state *enter(lua_State *L);
struct state *enter_open(lua_State *L);

/* The latter in a C function that has what state_push_place() pushes as its first upvalue, and so need not look for it.
 */
struct state *enter_quickly(lua_State *L);

#endif
