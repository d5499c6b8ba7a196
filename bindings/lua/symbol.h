/* SPDX-License-Identifier: MIT */
/*
 * C functions that a script names as callbacks: atfork.symbol(), and LuaJIT's cdata.
 */
#ifndef ATFORK_LUA_SYMBOL_H
#define ATFORK_LUA_SYMBOL_H

#include <lua.h>

#include "hook.h"

void symbol_open(lua_State *L);

/* symbol(library, name) */
int symbol_new(lua_State *L);

/* The C function that the value at `index` stands for, whose library stays loaded from now on; or NULL, with what is
 * wrong with it in `fault`, on the stack or for good. */
callback symbol_function(lua_State *L, int index, const char **fault);

#endif
