/* SPDX-License-Identifier: MIT */
/*
 * The generator of atfork.random, xoshiro256** (Blackman, Vigna: "Scrambled linear pseudorandom number generators",
 * 2021): the same for every Lua, as most have no such generator, or none of 64 bits.
 */
#ifndef ATFORK_LUA_RANDOM_H
#define ATFORK_LUA_RANDOM_H

#include <lua.h>
#include <stddef.h>

/* Runs random.lua with the generator, and returns its result. */
int random_open(lua_State *L, const char *source, size_t size);

#endif
