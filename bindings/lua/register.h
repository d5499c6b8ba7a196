/* SPDX-License-Identifier: MIT */
/*
 * What module.lua makes hooks with, and what a script holds of one: a userdata, which outlives the hook.
 *
 * The functions here are closures over where a hook's part in Lua lies, as they are called for each.
 */
#ifndef ATFORK_LUA_REGISTER_H
#define ATFORK_LUA_REGISTER_H

#include <lua.h>

#include "phase.h"

/* Their upvalues: state.h's userdata; a table of functions for each phase, and one of hooks, each with a place for each
 * slot; the metatables of hooks, and of C functions; a function that is called with what is no Lua function. */
enum { PLACE = 1, FUNCTIONS, HOOKS = FUNCTIONS + PHASES, HOOK_TYPE, SYMBOL_TYPE, UPVALUES = SYMBOL_TYPE, OTHERWISE };

/* add(child, parent, prepare, name, priority, definition, hooks_of_keys, key): registers a hook, of arguments that have
 * been checked, in the place of the one that has its key. */
int register_add(lua_State *L);

/* register_after_fork(function) */
int register_after_fork(lua_State *L);

/* unregister(hook): true, or false if it was before; nil and its type if it is none. */
int register_unregister(lua_State *L);

/* Of a hook: its id, its priority, and what was the definition when it was added, or nil.  id(hook, true) is the id in
 * hexadecimal digits. */
int register_id(lua_State *L);
int register_priority(lua_State *L);
int register_definition(lua_State *L);

#endif
