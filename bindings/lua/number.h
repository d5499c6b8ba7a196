/* SPDX-License-Identifier: MIT */
/*
 * Integers of 64 bits, if Lua has them.  Otherwise a seed keeps its upper 53 bits, and an id or a run is a string of
 * digits.
 */
#ifndef ATFORK_LUA_NUMBER_H
#define ATFORK_LUA_NUMBER_H

#include <lua.h>
#include <stdint.h>

/* Reads an argument; an error names `function`. */
uint64_t number_to_uint64(lua_State *L, int arg, const char *function);

void number_push_uint64(lua_State *L, uint64_t number);
void number_push_exactly(lua_State *L, uint64_t number);

#endif
