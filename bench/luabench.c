/* SPDX-License-Identifier: MIT */
/* What lua.lua cannot do in Lua: look at the clock, fork, and call functions as a C program would. */
#include <atfork.h>
#include <lauxlib.h>
#include <lua.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

int luaopen_luabench(lua_State *L);

static void nothing(void *data) {
  (void)data;
}

static double *shared; /* what a child has to say */

static int l_now(lua_State *L) {
  lua_pushnumber(L, now());
  return 1;
}

/* fork_ns(): from fork() to the child's first own instruction. */
static int l_fork_ns(lua_State *L) {
  double start = now();
  pid_t pid = fork();
  if (pid == 0) {
    *shared = now();
    _exit(0);
  }
  if (pid < 0 || waitpid(pid, NULL, 0) != pid) return luaL_error(L, "cannot fork");
  lua_pushnumber(L, *shared - start);
  return 1;
}

/* pcall_ns(functions, count): what it takes a child to call them all, one lua_pcall() each. */
static int l_pcall_ns(lua_State *L) {
  int count = (int)luaL_checkinteger(L, 2);
  pid_t pid = fork();
  if (pid == 0) {
    double start = now();
    for (int i = 1; i <= count; i++) {
      lua_rawgeti(L, 1, i);
      if (lua_pcall(L, 0, 0, 0) != 0) _exit(1);
    }
    *shared = now() - start;
    _exit(0);
  }
  if (pid < 0 || waitpid(pid, NULL, 0) != pid) return luaL_error(L, "cannot fork");
  lua_pushnumber(L, *shared);
  return 1;
}

/* register_ns(count): what it takes to register as many hooks in C.  They are taken back. */
static int l_register_ns(lua_State *L) {
  size_t count = (size_t)luaL_checkinteger(L, 1);
  atfork_id *ids = lua_newuserdata(L, count * sizeof *ids);
  double start = now();
  for (size_t i = 0; i < count; i++) ids[i] = atfork_register_after_fork(nothing, NULL);
  lua_pushnumber(L, now() - start);
  for (size_t i = 0; i < count; i++) atfork_unregister(ids[i]);
  return 1;
}

int luaopen_luabench(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"now", l_now}, {"fork_ns", l_fork_ns}, {"pcall_ns", l_pcall_ns}, {"register_ns", l_register_ns}};
  shared = share(sizeof *shared);
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_pushcfunction(L, functions[i].func);
    lua_setfield(L, -2, functions[i].name);
  }
  return 1;
}
