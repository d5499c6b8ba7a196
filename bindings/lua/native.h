/* SPDX-License-Identifier: MIT */
/*
 * What module.lua, which scripts call, has C do; and what surrounds the functions that SWIG wraps.
 */
#ifndef ATFORK_LUA_NATIVE_H
#define ATFORK_LUA_NATIVE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Makes of SWIG's table, on top of the stack, the module's, by the source of module.lua; which may have a function that
 * opens atfork.random.  The same table again where the state has one. */
void native_open(lua_State *L, lua_CFunction open_random, const char *source, size_t size);

/* At the start of each call that SWIG wraps. */
void native_enter(lua_State *L);

/* Before and after a call that may run child callbacks, and so enter Lua: it is called from there.  Returns what it was
 * before; leaves errno alone. */
bool native_polls(lua_State *L, bool is_polling);

/* Pushes nil for 0, else the name of errno. */
void native_push_fault(lua_State *L, int result);

#endif
