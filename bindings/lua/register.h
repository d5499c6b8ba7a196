/* SPDX-License-Identifier: MIT */
/*
 * register() and register_after_fork(): from a script's arguments to a hook; and unregister(), back.
 */
#ifndef ATFORK_LUA_REGISTER_H
#define ATFORK_LUA_REGISTER_H

#include <lua.h>

/* Adds them to the module's table, on top of the stack. */
void register_open(lua_State *L);

/* Takes the function on top for a child callback; for as long as the state is open. */
void register_child(lua_State *L, const char *name, int priority);

#endif
