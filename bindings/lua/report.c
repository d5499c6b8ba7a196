/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdbool.h>
#include <stdio.h>

#include "compat.h"
#include "handle.h"
#include "table.h"

int report_handler(lua_State *L) {
  lua_settop(L, 1);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 2, 1);
  luaL_traceback(L, L, "", 1);
  lua_rawseti(L, 2, 2);
  return 1;
}

static int describe(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

const char *report_describe(lua_State *L) {
  lua_pushcfunction(L, describe);
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 1, 0) == 0) return lua_tostring(L, -1);
  return "(an error that cannot be shown)";
}

/* What failed. */
struct failure {
  const struct hook *hook;
  const char *phase;
};

/* With the error on top. */
static void warn(lua_State *L, const struct hook *hook, const char *where, const char *traceback) {
  const char *error = report_describe(L);
  if (hook == NULL) {
    fprintf(stderr, "atfork: error in %s: %s%s\n", where, error, traceback);
  } else {
    hook_push_name(L, hook);
    fprintf(stderr, "atfork: error in %s of hook '%s': %s%s\n", where, lua_tostring(L, -1), error, traceback);
  }
  fflush(stderr);
}

/* on_error(error, hook, phase, traceback), with the first and the last at the bottom: true if it had a say. */
static bool ask_on_error(lua_State *L, const struct failure *failure) {
  table_push(L);
  lua_getfield(L, -1, "on_error");
  if (lua_isnil(L, -1)) return false;
  lua_pushvalue(L, 1);
  if (failure->hook == NULL)
    lua_pushnil(L);
  else
    handle_push(L, failure->hook);
  lua_pushstring(L, failure->phase);
  lua_pushvalue(L, 2);
  if (lua_pcall(L, 4, 0, 0) == 0) return true;
  warn(L, failure->hook, "on_error", "");
  return false;
}

/* report(failure, what the handler gave), which is no table when there was no memory for one. */
static int report(lua_State *L) {
  const struct failure *failure = lua_touserdata(L, 1);
  const char *traceback = "";
  lua_remove(L, 1);
  if (lua_istable(L, 1)) {
    lua_rawgeti(L, 1, 1);
    lua_rawgeti(L, 1, 2);
    lua_remove(L, 1);
    if (ask_on_error(L, failure)) return 0;
    if (lua_isstring(L, 2)) traceback = lua_tostring(L, 2);
  }
  lua_pushvalue(L, 1);
  warn(L, failure->hook, failure->phase, traceback);
  return 0;
}

/* In a protected call, as nothing else surrounds it. */
void report_error(lua_State *L, const struct hook *hook, const char *phase) {
  struct failure failure = {hook, phase};
  int base = lua_gettop(L);
  bool has_room = lua_checkstack(L, LUA_MINSTACK);
  if (has_room) {
    lua_pushcfunction(L, report);
    lua_pushlightuserdata(L, &failure);
    lua_pushvalue(L, base);
  }
  if (!has_room || lua_pcall(L, 2, 0, 0) != 0) report_no_memory(hook, phase);
  lua_settop(L, base - 1);
}

void report_no_memory(const struct hook *hook, const char *phase) {
  unsigned long long id = hook == NULL ? 0 : hook->id;
  fprintf(stderr, "atfork: no memory for %s of hook %llx\n", phase, id);
  fflush(stderr);
}
