/* SPDX-License-Identifier: MIT */
/*
 * What a script holds of a hook: the object that register() returns, and that on_error gets.  It outlives the hook.
 */
#ifndef ATFORK_LUA_HANDLE_H
#define ATFORK_LUA_HANDLE_H

#include <lua.h>

#include "hook.h"

void handle_open(lua_State *L, struct state *state);

/* Pushes one; that of a hook that is not registered yet is finished by handle_set_id(), which cannot fail. */
void handle_push(lua_State *L, const struct hook *hook);
void handle_new(lua_State *L, const struct hook *hook, const char *name);
void handle_set_id(lua_State *L, int index, atfork_id id);

/* When the core has unregistered the hook that had this id. */
void handle_forget(lua_State *L, struct state *state, struct hook *hook, atfork_id id);

#endif
