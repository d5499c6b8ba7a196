/* SPDX-License-Identifier: MIT */
/*
 * The module's table: what SWIG does not wrap, and what surrounds what it does.
 */
#ifndef ATFORK_LUA_MODULE_H
#define ATFORK_LUA_MODULE_H

#include <lauxlib.h>
#include <lua.h>

#include "number.h"

/* Adds to the module's table, on top of the stack, what SWIG does not wrap. */
void module_open(lua_State *L);

/* At the start of each call that SWIG wraps. */
void module_enter(lua_State *L);

/* atfork_poll() and atfork_spawned(), which may enter Lua: they are called from there.  The latter raises its errors.
 */
int module_poll(lua_State *L);
int module_spawned(lua_State *L, const char *token);

/* The argument of spawned(): NULL if it is not given. */
const char *module_token(lua_State *L, int arg);

#endif
