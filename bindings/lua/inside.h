/* SPDX-License-Identifier: MIT */
/*
 * Whether Lua may be entered from somewhere inside fork().
 *
 * It may when the forking thread is inside the state, or nobody can be, and what is innermost there is a C function.
 * Without the first, the prepare of a script that forks beside a library's thread would never run; without the second,
 * that of any script in LuaJIT.  No Lua has a call that says either.  But each keeps, in its main coroutine, where its
 * innermost protected call lies on the C stack: in its own thread's, if that thread is inside; and LuaJIT keeps beside
 * it what it is doing.  Where these words are differs from build to build, so they are looked for once, by what they
 * do.  If they are not found, the answer is no.
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
  size_t call_word;      /* where a coroutine keeps its innermost protected call; 0: not known */
  size_t doing_word;     /* where LuaJIT keeps what it is doing, from the main coroutine on; 0: not known */
  _Atomic size_t caller; /* the thread that called us last from this state, as a number */
};

/* Whether this is LuaJIT, in which Lua 5.1's module runs, too. */
bool inside_is_jit(void);

/* Looks for the words, if the main coroutine is known and that has not been done. */
void inside_look(lua_State *L, struct state *state);

/* Notes that this thread is inside the state. */
void inside_note(struct state *state);

/* Whether it is certain that this thread is inside the state, or that no other can be: as it is `alone`. */
bool inside_is_certain(const struct state *state, bool alone);

/* Whether Lua may be entered. */
bool inside_may_enter(const struct state *state, bool alone);

#endif
