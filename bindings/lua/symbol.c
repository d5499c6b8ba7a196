/* SPDX-License-Identifier: MIT */
#include "symbol.h"

#include <string.h>

#include "compat.h"
#include "ffi.h"
#include "library.h"
#include "number.h"
#include "report.h"
#include "table.h"

static const char symbol_type[] = "atfork.symbol";

/* ---- What it is called with ---- */

/* Any cdata that has an address, or is one. */
static void *pointer_of_cdata(lua_State *L, int arg) {
  ffi_push(L, "cast");
  lua_pushliteral(L, "void *");
  lua_pushvalue(L, arg);
  if (lua_pcall(L, 2, 1, 0) != 0) luaL_argerror(L, arg, lua_tostring(L, -1));
  return *(void *const *)lua_topointer(L, -1);
}

static void *pointer_of_number(lua_State *L, int arg) {
  uint64_t address = number_to_uint64(L, arg, "symbol");
  if (address > UINTPTR_MAX) luaL_argerror(L, arg, "no address");
  return (void *)(uintptr_t)address;
}

/* Of the third argument; an object is noted. */
static void *check_data(lua_State *L, int arg, bool *is_object) {
  *is_object = ffi_is_cdata(L, arg) || lua_type(L, arg) == LUA_TUSERDATA;
  if (ffi_is_cdata(L, arg)) return pointer_of_cdata(L, arg);
  if (lua_isuserdata(L, arg)) return lua_touserdata(L, arg);
  if (lua_type(L, arg) == LUA_TNUMBER) return pointer_of_number(L, arg);
  if (!lua_isnoneornil(L, arg))
    luaL_error(L, "bad argument #%d to 'symbol' (pointer expected, got %s)", arg, luaL_typename(L, arg));
  return NULL;
}

/* ---- Looking it up ---- */

static const char *check_text(lua_State *L, int arg) {
  size_t length;
  const char *text = luaL_checklstring(L, arg, &length);
  if (strlen(text) != length) luaL_argerror(L, arg, "contains a zero byte");
  return text;
}

/* It has the object that its data lie in, in a table, as no other user value serves every Lua. */
static void push_symbol(lua_State *L, void (*call)(void *data)) {
  struct c_function function = {.call = call};
  function.data = check_data(L, 3, &function.needs_object);
  *(struct c_function *)lua_newuserdata(L, sizeof function) = function;
  luaL_getmetatable(L, symbol_type);
  lua_setmetatable(L, -2);
  if (!function.needs_object) return;
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, 1);
  lua_setuservalue(L, -2);
}

int symbol_new(lua_State *L) {
  table_check_dot(L, "symbol");
  lua_settop(L, 3);
  const char *library = lua_isnoneornil(L, 1) ? NULL : check_text(L, 1);
  const char *name = check_text(L, 2);
  struct library_fault fault;
  void *address = library_find(library, name, &fault);
  if (address == NULL)
    return luaL_error(L, "bad argument #%d to 'symbol' (%s)", fault.is_of_library ? 1 : 2, fault.text);
  push_symbol(L, (void (*)(void *))(uintptr_t)address);
  return 1;
}

static int symbol_tostring(lua_State *L) {
  const struct c_function *symbol = luaL_checkudata(L, 1, symbol_type);
  lua_pushfstring(L, "atfork.symbol: %p", (void *)(uintptr_t)symbol->call);
  return 1;
}

/* ---- LuaJIT's cdata ---- */

/* "cdata<void (*)()>: 0x…" is a pointer to a function, "cdata<void ()>: 0x…" a function. */
static bool is_callable(lua_State *L, int index) {
  if (!ffi_is_cdata(L, index)) return false;
  lua_pushvalue(L, index);
  const char *shown = report_describe(L);
  bool callable = strncmp(shown, "cdata<", 6) == 0 && (strstr(shown, "(*)(") != NULL || strstr(shown, " ()") != NULL);
  lua_pop(L, 2);
  return callable;
}

/* What is wrong with it; NULL if nothing is.  LuaJIT unloads what it has loaded with its namespace object, and so do
 * others; then not. */
static const char *fault_of(void (*function)(void *data)) {
  if (function == NULL) return "a null pointer";
  if (library_keep((void *)(uintptr_t)function)) return NULL;
  return "a function of no library: register Lua functions as they are, not as C callbacks";
}

const char *symbol_function(lua_State *L, int index, struct c_function *function) {
  const struct c_function *symbol = luaL_testudata(L, index, symbol_type);
  if (symbol != NULL) {
    *function = *symbol;
    return NULL;
  }
  if (!is_callable(L, index)) return lua_pushfstring(L, "function expected, got %s", luaL_typename(L, index));
  *function = (struct c_function){.call = *(void (**)(void *))(uintptr_t)lua_topointer(L, index)};
  return fault_of(function->call);
}

void symbol_open(lua_State *L) {
  luaL_newmetatable(L, symbol_type);
  lua_pushcfunction(L, symbol_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "protected");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
