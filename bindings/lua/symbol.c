/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* dladdr1() */
#include "symbol.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "compat.h"
#include "report.h"
#include "table.h"

static const char symbol_type[] = "atfork.symbol";

struct symbol {
  callback function;
};

/* Data symbols and code look the same to dlsym(); the symbol table knows. */
static bool is_function(void *address) {
  Dl_info info;
  const ElfW(Sym) *entry = NULL;
  if (!dladdr1(address, &info, (void **)(uintptr_t)&entry, RTLD_DL_SYMENT) || entry == NULL) return true;
  int type = ELF64_ST_TYPE(entry->st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

static const char *check_text(lua_State *L, int arg) {
  size_t length;
  const char *text = luaL_checklstring(L, arg, &length);
  if (strlen(text) != length) luaL_argerror(L, arg, "contains a zero byte");
  return text;
}

/* The library stays for good: a hook's code must not go while a fork may still call it. */
int symbol_new(lua_State *L) {
  table_check_dot(L, "symbol");
  const char *library = lua_isnoneornil(L, 1) ? NULL : check_text(L, 1);
  const char *name = check_text(L, 2);
  void *handle = dlopen(library, RTLD_NOW | RTLD_NODELETE);
  if (handle == NULL) return luaL_error(L, "bad argument #1 to 'symbol' (%s)", dlerror());
  dlerror();
  void *address = dlsym(handle, name);
  const char *error = address == NULL ? dlerror() : NULL;
  if (error != NULL) lua_pushstring(L, error);
  dlclose(handle);
  if (error != NULL) return luaL_error(L, "bad argument #2 to 'symbol' (%s)", lua_tostring(L, -1));
  if (address == NULL || !is_function(address))
    return luaL_error(L, "bad argument #2 to 'symbol' (%s is not a function)", name);
  struct symbol *symbol = lua_newuserdata(L, sizeof *symbol);
  symbol->function = (callback)(uintptr_t)address;
  luaL_getmetatable(L, symbol_type);
  lua_setmetatable(L, -2);
  return 1;
}

static int symbol_tostring(lua_State *L) {
  const struct symbol *symbol = luaL_checkudata(L, 1, symbol_type);
  lua_pushfstring(L, "atfork.symbol: %p", (void *)(uintptr_t)symbol->function);
  return 1;
}

/* ---- LuaJIT's cdata ---- */

/* "cdata<void (*)()>: 0x…" is a pointer to a function, "cdata<void ()>: 0x…" a function. */
static bool is_callable(lua_State *L, int index) {
  enum { TYPE_CDATA = 10 };
  if (lua_type(L, index) != TYPE_CDATA) return false;
  lua_pushvalue(L, index);
  const char *shown = report_describe(L);
  bool callable = strncmp(shown, "cdata<", 6) == 0 && (strstr(shown, "(*)(") != NULL || strstr(shown, " ()") != NULL);
  lua_pop(L, 2);
  return callable;
}

/* LuaJIT unloads what it has loaded with its namespace object, and so do others; then not. */
static bool keep_library(callback function) {
  Dl_info info;
  if (!dladdr((void *)(uintptr_t)function, &info) || info.dli_fname == NULL) return false;
  void *handle = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  if (handle != NULL) dlclose(handle); /* NULL for the program itself, which goes nowhere */
  return true;
}

/* What is wrong with it; NULL if nothing is. */
static const char *fault_of(callback function) {
  if (function == NULL) return "a null pointer";
  if (keep_library(function)) return NULL;
  return "a function of no library: register Lua functions as they are, not as C callbacks";
}

callback symbol_function(lua_State *L, int index, const char **fault) {
  const struct symbol *symbol = luaL_testudata(L, index, symbol_type);
  if (symbol != NULL) return symbol->function;
  if (!is_callable(L, index)) {
    *fault = lua_pushfstring(L, "function expected, got %s", luaL_typename(L, index));
    return NULL;
  }
  callback function = *(callback *)(uintptr_t)lua_topointer(L, index);
  *fault = fault_of(function);
  return *fault == NULL ? function : NULL;
}

void symbol_open(lua_State *L) {
  luaL_newmetatable(L, symbol_type);
  lua_pushcfunction(L, symbol_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "protected");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
