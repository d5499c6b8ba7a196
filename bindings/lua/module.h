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

/* atfork_poll(), which may enter Lua: it is called from there. */
int module_poll(lua_State *L);

#endif
