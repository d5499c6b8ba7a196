/* SPDX-License-Identifier: MIT */
/*
 * Hooks whose callbacks are Lua functions: registering them, and when they run.
 */
#ifndef ATFORK_LUA_HOOKS_H
#define ATFORK_LUA_HOOKS_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

/* Adds to the module's table, on top of the stack, what SWIG does not wrap. */
void atfork_lua_open(lua_State *L);

/* At the start of each call from Lua: notes that this thread runs the state, and runs what waits for that. */
void atfork_lua_enter(lua_State *L);

/* Integers of 64 bits where Lua has them; elsewhere a seed keeps its upper 53. */
uint64_t atfork_lua_to_uint64(lua_State *L, int arg);
void atfork_lua_push_uint64(lua_State *L, uint64_t number);

#endif
