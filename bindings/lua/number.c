/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat.h"

static void refuse(lua_State *L, int arg, const char *function) {
  if (lua_isnumber(L, arg))
    luaL_error(L, "bad argument #%d to '%s' (number has no integer representation)", arg, function);
  luaL_error(L, "bad argument #%d to '%s' (number expected, got %s)", arg, function, luaL_typename(L, arg));
}

#if LUA_VERSION_NUM >= 503

uint64_t number_to_uint64(lua_State *L, int arg, const char *function) {
  int is_integer;
  lua_Integer number = lua_tointegerx(L, arg, &is_integer);
  if (!is_integer) refuse(L, arg, function);
  return (uint64_t)number;
}

void number_push_uint64(lua_State *L, uint64_t number) {
  lua_pushinteger(L, (lua_Integer)number);
}

void number_push_exactly(lua_State *L, uint64_t number) {
  lua_pushinteger(L, (lua_Integer)number);
}

#else

/* What number_push_exactly() pushes. */
static bool is_of_digits(lua_State *L, int arg, uint64_t *number) {
  const char *text = lua_type(L, arg) == LUA_TSTRING ? lua_tostring(L, arg) : "";
  if (text[0] == 0 || text[strspn(text, "0123456789")] != 0) return false;
  errno = 0;
  *number = strtoull(text, NULL, 10);
  return errno == 0;
}

uint64_t number_to_uint64(lua_State *L, int arg, const char *function) {
  uint64_t digits;
  if (is_of_digits(L, arg, &digits)) return digits;
  double number = lua_tonumber(L, arg);
  if (!lua_isnumber(L, arg) || !(number >= -9007199254740992.0 && number <= 9007199254740992.0) ||
      number != (double)(int64_t)number)
    refuse(L, arg, function);
  return (uint64_t)(int64_t)number;
}

/* The whole number if a double can hold it, as with generations; otherwise its upper bits, which are enough for a
 * seed. */
void number_push_uint64(lua_State *L, uint64_t number) {
  lua_pushnumber(L, (lua_Number)(number >> 53 == 0 ? number : number >> 11));
}

void number_push_exactly(lua_State *L, uint64_t number) {
  char digits[24];
  lua_pushlstring(L, digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)number));
}

#endif
