/* SPDX-License-Identifier: MIT */
/*
 * What a script holds of a hook: the object that register() returns, and that on_error gets.  It outlives the hook.
 */
#ifndef ATFORK_LUA_HANDLE_H
#define ATFORK_LUA_HANDLE_H

#include <lua.h>

#include "hook.h"

/* It has the name of its own, for when the hook is gone. */
struct handle {
  atfork_id id;
  struct hook *hook; /* to be looked at only while the state is open; another's when the ids differ */
  size_t length;
  bool has_key;
  char name[];
};

/* `unregister` is the method. */
void handle_open(lua_State *L, struct state *state, lua_CFunction unregister);

/* The one at `index` of the stack, or NULL. */
const struct handle *handle_at(lua_State *L, int index);

/* Pushes one; that of a hook that is not registered yet is finished by handle_set_id(), which cannot fail. */
void handle_push(lua_State *L, const struct hook *hook);
void handle_new(lua_State *L, const struct hook *hook, const char *name);
void handle_set_id(lua_State *L, int index, atfork_id id);

#endif
