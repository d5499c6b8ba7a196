/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <stdbool.h>
#include <string.h>

#include "compat.h"

static const char table_key;

void table_push(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &table_key);
}

void table_check_dot(lua_State *L, const char *function) {
  if (!lua_istable(L, 1)) return;
  table_push(L);
  bool is_table = lua_rawequal(L, 1, -1);
  lua_pop(L, 1);
  if (is_table)
    luaL_error(L, "bad argument #1 to '%s' (the module itself: call atfork.%s with a dot, not with a colon)", function,
               function);
}

static bool is_among(const char *key, const char *const *known) {
  for (; *known != NULL; known++)
    if (strcmp(key, *known) == 0) return true;
  return false;
}

void table_check_fields(lua_State *L, int arg, const char *function, const char *const *known) {
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    if (lua_type(L, -2) != LUA_TSTRING || !is_among(lua_tostring(L, -2), known)) {
      const char *key = luaL_tolstring(L, -2, NULL);
      luaL_error(L, "bad argument #%d to '%s' (unknown field '%s')", arg, function, key);
    }
    lua_pop(L, 1);
  }
}

static bool may_be_called(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (!luaL_getmetafield(L, index, "__call")) return false;
  lua_pop(L, 1);
  return true;
}

/* __newindex: on_error goes to the table that __index names, so that each later assignment comes here, too. */
static int set_field(lua_State *L) {
  lua_settop(L, 3);
  lua_pushliteral(L, "on_error");
  if (!lua_rawequal(L, 2, -1)) {
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
  }
  if (!lua_isnil(L, 3) && !may_be_called(L, 3))
    return luaL_error(L, "bad value for 'on_error' (function or nil expected, got %s)", luaL_typename(L, 3));
  lua_pushvalue(L, 3);
  lua_rawset(L, lua_upvalueindex(1));
  return 0;
}

void table_open(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &table_key);
  lua_createtable(L, 0, 3);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_pushcclosure(L, set_field, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushliteral(L, "protected");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}
