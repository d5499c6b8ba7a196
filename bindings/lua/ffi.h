/* SPDX-License-Identifier: MIT */
/* LuaJIT's objects of C types, of which its C API says nothing. */
#ifndef ATFORK_LUA_FFI_H
#define ATFORK_LUA_FFI_H

#include <lua.h>
#include <stdbool.h>

static inline bool ffi_is_cdata(lua_State *L, int index) {
  enum { TYPE_CDATA = 10 };
  return lua_type(L, index) == TYPE_CDATA;
}

/* Pushes a function of the library, or nil if that is not loaded. */
static inline void ffi_push(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_pushliteral(L, "ffi");
  lua_rawget(L, -2);
  if (lua_istable(L, -1)) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_replace(L, -3);
    lua_pop(L, 1);
  } else {
    lua_pop(L, 2);
    lua_pushnil(L);
  }
}

#endif
