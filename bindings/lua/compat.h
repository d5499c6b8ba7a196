/* SPDX-License-Identifier: MIT */
/* What Lua 5.1 calls otherwise, or lacks. */
#ifndef ATFORK_LUA_COMPAT_H
#define ATFORK_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
/* Of a userdata, and a table. */
#define lua_getuservalue lua_getfenv
#define lua_setuservalue lua_setfenv
#define lua_pushglobaltable(L) lua_pushvalue(L, LUA_GLOBALSINDEX)

static inline void lua_rawgetp(lua_State *L, int index, const void *key) {
  lua_pushlightuserdata(L, (void *)(size_t)key);
  lua_rawget(L, index);
}

/* Of a value on top; index is none of the stack's. */
static inline void lua_rawsetp(lua_State *L, int index, const void *key) {
  lua_pushlightuserdata(L, (void *)(size_t)key);
  lua_insert(L, -2);
  lua_rawset(L, index);
}

static inline const char *luaL_tolstring(lua_State *L, int index, size_t *length) {
  if (!luaL_callmeta(L, index, "__tostring")) {
    if (lua_isnumber(L, index) || lua_isstring(L, index))
      lua_pushvalue(L, index);
    else if (lua_isboolean(L, index))
      lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    else if (lua_isnil(L, index))
      lua_pushliteral(L, "nil");
    else
      lua_pushfstring(L, "%s: %p", luaL_typename(L, index), lua_topointer(L, index));
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
  return lua_tolstring(L, -1, length);
}

#ifndef luaL_newlib /* LuaJIT 2.1 has these */
static inline void *luaL_testudata(lua_State *L, int index, const char *name) {
  void *data = lua_touserdata(L, index);
  if (data == NULL || !lua_getmetatable(L, index)) return NULL;
  luaL_getmetatable(L, name);
  if (!lua_rawequal(L, -1, -2)) data = NULL;
  lua_pop(L, 2);
  return data;
}

static inline void luaL_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues) {
  for (; functions->name != NULL; functions++) {
    for (int i = 0; i < upvalues; i++) lua_pushvalue(L, -upvalues);
    lua_pushcclosure(L, functions->func, upvalues);
    lua_setfield(L, -(upvalues + 2), functions->name);
  }
  lua_pop(L, upvalues);
}

/* Of the running function alone, and by what a script may have replaced in a library: 5.1 has nothing else. */
static inline void luaL_traceback(lua_State *L, lua_State *of, const char *message, int level) {
  (void)of;
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_pushliteral(L, "debug");
  lua_rawget(L, -2);
  if (lua_istable(L, -1)) {
    lua_pushliteral(L, "traceback");
    lua_rawget(L, -2);
    lua_pushstring(L, message);
    lua_pushinteger(L, level + 1);
    if (lua_pcall(L, 2, 1, 0) == 0 && lua_isstring(L, -1)) {
      lua_replace(L, top + 1);
      lua_settop(L, top + 1);
      return;
    }
  }
  lua_settop(L, top);
  lua_pushliteral(L, "");
}
#endif
#endif

#endif
