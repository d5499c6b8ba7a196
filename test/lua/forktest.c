/* SPDX-License-Identifier: MIT */
/* The functions of scenario.h, for every Lua. */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <scenario.h>
#include <stdio.h>
#include <unistd.h>

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
static int l_counted_by_fork(lua_State *L) {
  lua_pushinteger(L, scenario_counted_by_fork());
  return 1;
}
static int l_fork_at_exit(lua_State *L) {
  lua_pushinteger(L, scenario_fork_at_exit());
  return 1;
}

static int l_noted(lua_State *L) {
  lua_pushinteger(L, scenario_noted());
  return 1;
}

/* What luaposix calls the same. */
static int l_pipe(lua_State *L) {
  int ends[2];
  if (pipe(ends) != 0) return luaL_error(L, "no pipe");
  lua_pushinteger(L, ends[0]);
  lua_pushinteger(L, ends[1]);
  return 2;
}
static int l_read(lua_State *L) {
  char buffer[4096];
  ssize_t length = read((int)luaL_checkinteger(L, 1), buffer, sizeof buffer);
  lua_pushlstring(L, buffer, length < 0 ? 0 : (size_t)length);
  return 1;
}
static int l_write(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 2, &length);
  lua_pushboolean(L, write((int)luaL_checkinteger(L, 1), text, length) == (ssize_t)length);
  return 1;
}
static int l_close(lua_State *L) {
  lua_pushboolean(L, close((int)luaL_checkinteger(L, 1)) == 0);
  return 1;
}

static int l_redirect_stderr(lua_State *L) {
  if (freopen(luaL_checkstring(L, 1), "w", stderr) == NULL) return luaL_error(L, "cannot redirect");
  return 0;
}

/* ---- A fork between two instructions of Lua ---- */

static const char *way_between;
static int forked_between;
static lua_Hook user_hook;
static int user_mask, user_count;

static void fork_now(lua_State *L, lua_Debug *event) {
  (void)event;
  lua_sethook(L, user_hook, user_mask, user_count);
  forked_between = scenario_fork(way_between);
}

/* fork_between(way): forks before the caller's next instruction, from a debug hook in C, so no C function is innermost.
 */
static int l_fork_between(lua_State *L) {
  way_between = luaL_optstring(L, 1, "fork");
  user_hook = lua_gethook(L);
  user_mask = lua_gethookmask(L);
  user_count = lua_gethookcount(L);
  lua_sethook(L, fork_now, LUA_MASKCOUNT, 1);
  return 0;
}

/* What that fork returned. */
static int l_forked(lua_State *L) {
  lua_pushinteger(L, forked_between);
  return 1;
}

/* resident(): kB of memory of its own that this process has. */
static int l_resident(lua_State *L) {
  int size = scenario_resident();
  if (size < 0) return luaL_error(L, "the system does not tell how much memory there is");
  lua_pushinteger(L, size);
  return 1;
}

/* start_thread(): one that stays, as a library's event loop or resolver does. */
static void *stay(void *unused) {
  for (;;) pause();
  return unused;
}

static int l_start_thread(lua_State *L) {
  pthread_t thread;
  lua_pushboolean(L, pthread_create(&thread, NULL, stay, NULL) == 0);
  return 1;
}

/* ---- Data of a C function ---- */

static int counter;

/* counter(how): a pointer to an int that is 0, as "light" or "full" userdata, or as "address". */
static int l_counter(lua_State *L) {
  const char *how = luaL_checkstring(L, 1);
  counter = 0;
  if (how[0] == 'l')
    lua_pushlightuserdata(L, &counter);
  else if (how[0] == 'f')
    *(int *)lua_newuserdata(L, sizeof counter) = 0;
  else
    lua_pushnumber(L, (lua_Number)(size_t)&counter);
  return 1;
}

/* value(counter): of that int. */
static int l_value(lua_State *L) {
  lua_pushinteger(L, lua_type(L, 1) == LUA_TUSERDATA ? *(int *)lua_touserdata(L, 1) : counter);
  return 1;
}

int luaopen_forktest(lua_State *L);

int luaopen_forktest(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"fork", l_fork},
      {"wait", l_wait},
      {"exit", l_exit},
      {"fork_in_thread", l_fork_in_thread},
      {"spawn", l_spawn},
      {"forbid_forks", l_forbid_forks},
      {"counted", l_counted},
      {"counted_by_fork", l_counted_by_fork},
      {"fork_at_exit", l_fork_at_exit},
      {"redirect_stderr", l_redirect_stderr},
      {"fork_between", l_fork_between},
      {"forked", l_forked},
      {"resident", l_resident},
      {"noted", l_noted},
      {"pipe", l_pipe},
      {"read", l_read},
      {"write", l_write},
      {"close", l_close},
      {"start_thread", l_start_thread},
      {"counter", l_counter},
      {"value", l_value},
  };
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_pushcfunction(L, functions[i].func);
    lua_setfield(L, -2, functions[i].name);
  }
  return 1;
}
