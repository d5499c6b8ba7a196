/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <stdio.h>

#include "compat.h"

#if LUA_VERSION_NUM >= 503

uint64_t number_to_uint64(lua_State *L, int arg) {
  return (uint64_t)luaL_checkinteger(L, arg);
}

void number_push_uint64(lua_State *L, uint64_t number) {
  lua_pushinteger(L, (lua_Integer)number);
}

void number_push_id(lua_State *L, atfork_id id) {
  lua_pushinteger(L, (lua_Integer)id);
}

#else

uint64_t number_to_uint64(lua_State *L, int arg) {
  double number = luaL_checknumber(L, arg);
  if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0) || number != (double)(int64_t)number)
    luaL_argerror(L, arg, "number has no integer representation");
  return (uint64_t)(int64_t)number;
}

/* All of it where a double holds it, as generations do; else the upper bits, as in a seed each is as good. */
void number_push_uint64(lua_State *L, uint64_t number) {
  lua_pushnumber(L, (lua_Number)(number >> 53 == 0 ? number : number >> 11));
}

void number_push_id(lua_State *L, atfork_id id) {
  char digits[24];
  lua_pushlstring(L, digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)id));
}

#endif
