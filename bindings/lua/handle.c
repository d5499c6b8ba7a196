/* SPDX-License-Identifier: MIT */
#include "handle.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "number.h"
#include "state.h"

static const char handle_type[] = "atfork.hook";

enum { SEQUENCE_BITS = 48 };

/* An id begins with it (doc/design.md). */
static int priority_of(atfork_id id) {
  return (int)(id >> SEQUENCE_BITS) + ATFORK_PRIORITY_MIN;
}

/* In a table, as no other user value serves every Lua. */
static void set_key(lua_State *L, struct handle *handle) {
  hook_push_key(L, handle->hook);
  handle->has_key = !lua_isnil(L, -1);
  if (!handle->has_key) {
    lua_pop(L, 1);
    return;
  }
  lua_createtable(L, 1, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  lua_setuservalue(L, -2);
}

static void push_key(lua_State *L, const struct handle *handle) {
  if (!handle->has_key) {
    lua_pushnil(L);
    return;
  }
  lua_getuservalue(L, 1);
  lua_rawgeti(L, -1, 1);
}

void handle_new(lua_State *L, const struct hook *hook, const char *name) {
  size_t length = strlen(name);
  struct handle *handle = lua_newuserdata(L, sizeof *handle + length + 1);
  *handle = (struct handle){.id = hook->id, .hook = (struct hook *)(uintptr_t)hook, .length = length};
  memcpy(handle->name, name, length + 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, hook_state(hook)->handle_metatable);
  lua_setmetatable(L, -2);
  set_key(L, handle);
}

void handle_push(lua_State *L, const struct hook *hook) {
  hook_push_name(L, hook);
  handle_new(L, hook, lua_tostring(L, -1));
  lua_remove(L, -2);
}

const struct handle *handle_at(lua_State *L, int index) {
  return luaL_testudata(L, index, handle_type);
}

void handle_set_id(lua_State *L, int index, atfork_id id) {
  ((struct handle *)lua_touserdata(L, index))->id = id;
}

static int handle_index(lua_State *L) {
  const struct handle *handle = luaL_checkudata(L, 1, handle_type);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "unregister") == 0)
    lua_pushvalue(L, lua_upvalueindex(1));
  else if (strcmp(key, "id") == 0)
    number_push_id(L, handle->id);
  else if (strcmp(key, "name") == 0)
    lua_pushlstring(L, handle->name, handle->length);
  else if (strcmp(key, "priority") == 0)
    lua_pushinteger(L, priority_of(handle->id));
  else if (strcmp(key, "key") == 0)
    push_key(L, handle);
  else
    lua_pushnil(L);
  return 1;
}

static int handle_equals(lua_State *L) {
  const struct handle *a = luaL_testudata(L, 1, handle_type);
  const struct handle *b = luaL_testudata(L, 2, handle_type);
  lua_pushboolean(L, a != NULL && b != NULL && a->id == b->id);
  return 1;
}

static int handle_tostring(lua_State *L) {
  const struct handle *handle = luaL_checkudata(L, 1, handle_type);
  char id[24];
  snprintf(id, sizeof id, "%llx", (unsigned long long)handle->id);
  lua_pushfstring(L, "atfork.hook '%s' (priority %d, id %s)", handle->name, priority_of(handle->id), id);
  return 1;
}

void handle_open(lua_State *L, struct state *state, lua_CFunction unregister) {
  static const luaL_Reg methods[] = {
      {"__eq", handle_equals},
      {"__tostring", handle_tostring},
      {NULL, NULL},
  };
  luaL_newmetatable(L, handle_type);
  luaL_setfuncs(L, methods, 0);
  lua_pushcfunction(L, unregister);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__close");
  lua_pushcclosure(L, handle_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "protected");
  lua_setfield(L, -2, "__metatable");
  state->handle_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
}
