/* SPDX-License-Identifier: MIT */
/*
 * C functions that a script names as callbacks: atfork.symbol(), and LuaJIT's cdata.
 */
#ifndef ATFORK_LUA_SYMBOL_H
#define ATFORK_LUA_SYMBOL_H

#include <lua.h>

#include "hook.h"

void symbol_open(lua_State *L);

/* symbol(library, name, data) */
int symbol_new(lua_State *L);

/* The C function that the value at `index` stands for, whose library stays loaded from now on.  Returns NULL; or what
 * is wrong with the value, on the stack or for good. */
const char *symbol_function(lua_State *L, int index, struct c_function *function);

#endif
