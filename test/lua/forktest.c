/* SPDX-License-Identifier: MIT */
/* The functions of scenario.h, for every Lua. */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <scenario.h>
#include <stdio.h>

static int l_fork(lua_State *L) {
  lua_pushinteger(L, scenario_fork(luaL_optstring(L, 1, "fork")));
  return 1;
}
static int l_wait(lua_State *L) {
  lua_pushinteger(L, scenario_wait((int)luaL_checkinteger(L, 1)));
  return 1;
}
static int l_exit(lua_State *L) {
  scenario_exit((int)luaL_checkinteger(L, 1));
  return 0;
}
static int l_fork_in_thread(lua_State *L) {
  lua_pushinteger(L, scenario_fork_in_thread(luaL_optstring(L, 1, "fork")));
  return 1;
}
static int l_spawn(lua_State *L) {
  lua_pushinteger(L, scenario_spawn());
  return 1;
}
static int l_forbid_forks(lua_State *L) {
  lua_pushinteger(L, scenario_forbid_forks(EAGAIN));
  return 1;
}
static int l_counted(lua_State *L) {
  lua_pushinteger(L, scenario_counted());
  return 1;
}

static int l_redirect_stderr(lua_State *L) {
  if (freopen(luaL_checkstring(L, 1), "w", stderr) == NULL) return luaL_error(L, "cannot redirect");
  return 0;
}

int luaopen_forktest(lua_State *L);

int luaopen_forktest(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"fork", l_fork},       {"wait", l_wait},
      {"exit", l_exit},       {"fork_in_thread", l_fork_in_thread},
      {"spawn", l_spawn},     {"forbid_forks", l_forbid_forks},
      {"counted", l_counted}, {"redirect_stderr", l_redirect_stderr},
  };
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_pushcfunction(L, functions[i].func);
    lua_setfield(L, -2, functions[i].name);
  }
  return 1;
}
