/* SPDX-License-Identifier: MIT */
/*
 * C functions for module.lua, which scripts call; and code around the functions that SWIG wraps.
 */
#ifndef ATFORK_LUA_NATIVE_H
#define ATFORK_LUA_NATIVE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Makes the module's table from SWIG's table, on top of the stack, by running module.lua, which may get a function that
 * opens atfork.random.  If the state has a module already, returns its table. */
void native_open(lua_State *L, lua_CFunction open_random, const char *source, size_t size);

/* At the start of each call that SWIG wraps. */
void native_enter(lua_State *L);

/* Called before and after a call that may run child callbacks, and so enter Lua.  Returns the former value; leaves
 * errno alone. */
bool native_polls(lua_State *L, bool is_polling);

/* Pushes nil for 0, else the name of errno. */
void native_push_fault(lua_State *L, int result);

#endif
