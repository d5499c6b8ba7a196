/* SPDX-License-Identifier: MIT */
/* Functions that Lua 5.1 names differently, or lacks. */
#ifndef ATFORK_LUA_COMPAT_H
#define ATFORK_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM < 502
/* The user value of a userdata, which is a table. */
#define lua_getuservalue lua_getfenv
#define lua_setuservalue lua_setfenv

static inline void lua_rawgetp(lua_State *L, int index, const void *key) {
  lua_pushlightuserdata(L, (void *)(size_t)key);
  lua_rawget(L, index);
}

/* Takes the value on top; index must not be relative to the top. */
static inline void lua_rawsetp(lua_State *L, int index, const void *key) {
  lua_pushlightuserdata(L, (void *)(size_t)key);
  lua_insert(L, -2);
  lua_rawset(L, index);
}

#ifndef luaL_newlib /* LuaJIT 2.1 has it */
static inline void luaL_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues) {
  for (; functions->name != NULL; functions++) {
    for (int i = 0; i < upvalues; i++) lua_pushvalue(L, -upvalues);
    lua_pushcclosure(L, functions->func, upvalues);
    lua_setfield(L, -(upvalues + 2), functions->name);
  }
  lua_pop(L, upvalues);
}
#endif
#endif

/* Calls it without arguments.  An error, which is one of memory, ends only this call. */
static inline void call_protected(lua_State *L, lua_CFunction function) {
#if LUA_VERSION_NUM < 502 /* needs memory to push it */
  int failed = lua_cpcall(L, function, NULL);
#else
  lua_pushcfunction(L, function);
  int failed = lua_pcall(L, 0, 0, 0);
#endif
  if (failed) lua_pop(L, 1);
}

#if LUA_VERSION_NUM < 504 /* has one always */
#define lua_newuserdatauv(L, size, user_values) lua_newuserdata(L, size)
#endif

#endif
