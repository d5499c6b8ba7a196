/* SPDX-License-Identifier: MIT */
#include "module.h"

#include <atfork.h>
#include <errno.h>

#include "compat.h"
#include "enter.h"
#include "forks.h"
#include "infos.h"
#include "per_process.h"
#include "register.h"
#include "symbol.h"
#include "table.h"

void module_enter(lua_State *L) {
  enter(L);
}

static int poll(const char *unused) {
  (void)unused;
  return atfork_poll();
}

/* Calls what runs child callbacks.  What waits even so is run before it returns. */
static int run_children(lua_State *L, int (*call)(const char *), const char *argument) {
  struct state *state = enter(L);
  if (state == NULL) return call(argument);
  bool outer = state->is_polling;
  state->is_polling = true;
  int result = call(argument);
  int error = errno;
  state->is_polling = outer;
  enter(L);
  errno = error;
  return result;
}

int module_poll(lua_State *L) {
  return run_children(L, poll, NULL);
}

/* ---- spawned() ---- */

const char *module_token(lua_State *L, int arg) {
  table_check_dot(L, "spawned");
  if (lua_isnoneornil(L, arg)) return NULL;
  if (lua_type(L, arg) != LUA_TSTRING)
    luaL_error(L, "bad argument #%d to 'spawned' (string expected, got %s)", arg, luaL_typename(L, arg));
  return lua_tostring(L, arg);
}

int module_spawned(lua_State *L, const char *token) {
  struct state *state = enter_open(L);
  state->takes_place = true;
  int result = run_children(L, atfork_spawned, token);
  state->takes_place = false;
  if (result == 0) return 0;
  if (errno == EALREADY) return luaL_error(L, "cannot take a place by spawned(): this process has one already");
  if (token != NULL) return luaL_error(L, "bad argument #1 to 'spawned' (no token of atfork.token(): '%s')", token);
  return luaL_error(L, "spawned() finds no token of atfork.token() in the environment, as ATFORK_TOKEN");
}

/* ---- hooks() ---- */

static void push_info(lua_State *L, const struct atfork_info *info) {
  lua_createtable(L, 0, 7);
  number_push_id(L, info->id);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, info->hook.name);
  lua_setfield(L, -2, "name");
  lua_pushinteger(L, info->hook.priority);
  lua_setfield(L, -2, "priority");
  number_push_uint64(L, info->generation);
  lua_setfield(L, -2, "generation");
  lua_pushboolean(L, info->hook.prepare != NULL || info->hook.try_prepare != NULL);
  lua_setfield(L, -2, "prepare");
  lua_pushboolean(L, info->hook.parent != NULL);
  lua_setfield(L, -2, "parent");
  lua_pushboolean(L, info->hook.child != NULL);
  lua_setfield(L, -2, "child");
}

static int push_infos(lua_State *L) {
  const struct infos *infos = lua_touserdata(L, 1);
  lua_createtable(L, (int)infos->count, 0);
  for (size_t i = 0; i < infos->count; i++) {
    push_info(L, &infos->all[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

static int hooks(lua_State *L) {
  struct infos infos;
  enter(L);
  lua_pushcfunction(L, push_infos);
  bool taken = infos_take(&infos, forks_is_watch);
  lua_pushlightuserdata(L, &infos);
  int failed = lua_pcall(L, 1, 1, 0);
  infos_free(&infos);
  if (failed) return lua_error(L);
  if (!taken) return luaL_error(L, "not enough memory");
  return 1;
}

/* ---- prepared() ---- */

static int prepared(lua_State *L) {
  const struct state *state = enter_open(L);
  if (state->run.depth == 0 || state->run.call.phase == PREPARE)
    return luaL_error(L, "prepared() is for parent and child callbacks, while they run");
  lua_pushboolean(L, run_is_prepared(&state->run.call));
  return 1;
}

/* ---- Opening ---- */

void module_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"symbol", symbol_new},
      {"hooks", hooks},
      {"prepared", prepared},
      {NULL, NULL},
  };
  symbol_open(L);
  enter_first(L);
  luaL_setfuncs(L, functions, 0);
  register_open(L);
  per_process_open(L);
  /* In place of SWIG's metatable, which refuses on_error. */
  table_open(L);
}
