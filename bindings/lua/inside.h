/* SPDX-License-Identifier: MIT */
/*
 * Whether Lua may be entered from somewhere inside fork().
 *
 * Lua may be entered if two things are certain: the forking thread is inside the state, or no other thread can be; and
 * a C function is innermost there.  No Lua has a function for either.  But the main coroutine stores where its
 * innermost protected call lies on the C stack, and LuaJIT stores near it what it is doing.  The place of these two
 * words differs from build to build, so they are searched once, by their behaviour (doc/design.md, "Lua").  If they are
 * not found, the answer is no.
 */
#ifndef ATFORK_LUA_INSIDE_H
#define ATFORK_LUA_INSIDE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state;

/* The part of a state that belongs to this file. */
struct inside {
  size_t call_word;      /* offset of a coroutine's innermost protected call; 0: not known */
  size_t doing_word;     /* offset, from the main coroutine, of what LuaJIT is doing; 0: not known */
  _Atomic size_t caller; /* the thread that called us last from this state, as a number */
};

/* Whether this is LuaJIT, in which Lua 5.1's module runs, too. */
bool inside_is_jit(void);

/* Searches the words, if the main coroutine is known and they have not been searched. */
void inside_look(lua_State *L, struct state *state);

/* Notes that this thread is inside the state. */
void inside_note(struct state *state);

/* Whether it is certain that this thread is inside the state, or that no other thread can be, as this one is
 * `alone`. */
bool inside_is_certain(const struct state *state, bool alone);

/* Whether Lua may be entered. */
bool inside_may_enter(const struct state *state, bool alone);

#endif
