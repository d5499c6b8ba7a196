/* SPDX-License-Identifier: MIT */
/*
 * The generator of atfork.random, xoshiro256** (Blackman, Vigna: "Scrambled linear pseudorandom number generators",
 * 2021): the same for every Lua, of which most have none, or none of 64 bits.
 */
#ifndef ATFORK_LUA_RANDOM_H
#define ATFORK_LUA_RANDOM_H

#include <lua.h>
#include <stddef.h>

/* Calls the source of random.lua with the generator, and returns what that does. */
int random_open(lua_State *L, const char *source, size_t size);

#endif
