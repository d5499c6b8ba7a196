/* SPDX-License-Identifier: MIT */
/*
 * Integers of 64 bits where Lua has them.  Elsewhere a seed keeps its upper 53 bits, and an id is its digits.
 */
#ifndef ATFORK_LUA_NUMBER_H
#define ATFORK_LUA_NUMBER_H

#include <atfork.h>
#include <lua.h>
#include <stdint.h>

uint64_t number_to_uint64(lua_State *L, int arg);
void number_push_uint64(lua_State *L, uint64_t number);
void number_push_id(lua_State *L, atfork_id id);

#endif
