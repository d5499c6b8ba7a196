/* SPDX-License-Identifier: MIT */
#include "report.h"

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

/* It may fail itself. */
const char *report_describe(lua_State *L) {
  lua_getglobal(L, "tostring");
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 1, 0) == 0 && lua_isstring(L, -1)) return lua_tostring(L, -1);
  return "(an error that cannot be shown)";
}

/* With the error on top. */
static void warn(lua_State *L, const struct hook *hook, const char *where, const char *traceback) {
  const char *error = report_describe(L);
  hook_push_name(L, hook);
  fprintf(stderr, "atfork: error in %s of hook '%s': %s%s\n", where, lua_tostring(L, -1), error, traceback);
  fflush(stderr);
}

/* With (error, traceback) at `at`: true if on_error had a say. */
static bool ask_on_error(lua_State *L, const struct hook *hook, int at) {
  table_push(L);
  lua_getfield(L, -1, "on_error");
  if (lua_isnil(L, -1)) return false;
  lua_pushvalue(L, at);
  handle_push(L, hook);
  lua_pushvalue(L, at + 1);
  if (lua_pcall(L, 3, 0, 0) == 0) return true;
  warn(L, hook, "on_error", "");
  return false;
}

void report_error(lua_State *L, const struct hook *hook, enum phase phase) {
  int base = lua_gettop(L);
  if (!lua_istable(L, base)) { /* out of memory, or an error in the handler */
    warn(L, hook, hook_phase_names[phase], "");
  } else if (lua_checkstack(L, LUA_MINSTACK)) {
    lua_rawgeti(L, base, 1);
    lua_rawgeti(L, base, 2);
    if (!ask_on_error(L, hook, base + 1)) {
      lua_settop(L, base + 2);
      const char *traceback = lua_tostring(L, base + 2);
      lua_pushvalue(L, base + 1);
      warn(L, hook, hook_phase_names[phase], traceback == NULL ? "" : traceback);
    }
  } else {
    report_no_memory(hook, phase);
  }
  lua_settop(L, base - 1);
}

void report_no_memory(const struct hook *hook, enum phase phase) {
  fprintf(stderr, "atfork: no memory for %s of hook %llx\n", hook_phase_names[phase], (unsigned long long)hook->id);
  fflush(stderr);
}
