/* SPDX-License-Identifier: MIT */
/*
 * Functions by which module.lua makes hooks; and the script's object for a hook: a userdata, which may outlive the
 * hook.
 *
 * The functions are closures: their upvalues are the tables with the hooks' functions, so no call has to look them up.
 */
#ifndef ATFORK_LUA_REGISTER_H
#define ATFORK_LUA_REGISTER_H

#include <lua.h>

#include "phase.h"

/* Their upvalues: state.h's userdata; a table of functions for each phase, and one of hooks, each with a place for each
 * slot; the metatables of hooks, and of C functions; a function that is called if the argument is no Lua function. */
enum { PLACE = 1, FUNCTIONS, HOOKS = FUNCTIONS + PHASES, HOOK_TYPE, SYMBOL_TYPE, UPVALUES = SYMBOL_TYPE, OTHERWISE };

/* add(child, parent, prepare, name, priority, definition, hooks_of_keys, key): registers a hook, with checked
 * arguments, in place of the hook with the same key. */
int register_add(lua_State *L);

/* register_after_fork(function) */
int register_after_fork(lua_State *L);

/* unregister(hooks_of_keys, hook): true; false: it was unregistered before; nil and the type of the argument: it is no
 * hook. */
int register_unregister(lua_State *L);

/* The id, the priority and the definition of a hook; the definition is nil if there was none. id(hook, true) is the id
 * in hexadecimal digits. */
int register_id(lua_State *L);
int register_priority(lua_State *L);
int register_definition(lua_State *L);

#endif
