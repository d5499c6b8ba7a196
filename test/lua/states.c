/* SPDX-License-Identifier: MIT */
#include "states.h"

#include <atfork.h>
#include <glib.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- What scripts may call ---- */

char trace[256];

static int l_trace(lua_State *L) {
  strncat(trace, luaL_checkstring(L, 1), sizeof trace - strlen(trace) - 1);
  return 0;
}

static int l_fork(lua_State *L) {
  lua_pushinteger(L, fork());
  return 1;
}

/* Ends a child: with what it is known by, if its trace is as it should be. */
static int l_expect(lua_State *L) {
  const char *wanted = luaL_checkstring(L, 1);
  if (strcmp(trace, wanted) != 0) {
    dprintf(STDERR_FILENO, "in a child: trace is \"%s\", wanted \"%s\"\n", trace, wanted);
    _exit(1);
  }
  child_passes();
}

static int l_wait(lua_State *L) {
  int status;
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  lua_pushboolean(L, waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == CHILD_PASSED);
  return 1;
}

/* resource(letter): what traces the letter when it is finalised. */
static int end_resource(lua_State *L) {
  const char letter[] = {*(const char *)lua_touserdata(L, 1), 0};
  strncat(trace, letter, sizeof trace - strlen(trace) - 1);
  return 0;
}

static int l_resource(lua_State *L) {
  *(char *)lua_newuserdata(L, 1) = *luaL_checkstring(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, end_resource);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return 1;
}

struct gate entered, leave;

/* Says that it is inside Lua, and stays there. */
static int l_stay(lua_State *L) {
  (void)L;
  gate_open(&entered);
  gate_wait(&leave);
  return 0;
}

lua_State *open_state(void) {
  static const struct {
    const char *name;
    lua_CFunction function;
  } functions[] = {{"trace", l_trace}, {"fork", l_fork}, {"expect", l_expect},
                   {"wait", l_wait},   {"stay", l_stay}, {"resource", l_resource}};
  lua_State *L = luaL_newstate();
  g_assert_nonnull(L);
  luaL_openlibs(L);
  for (size_t i = 0; i < G_N_ELEMENTS(functions); i++) {
    lua_pushcfunction(L, functions[i].function);
    lua_setglobal(L, functions[i].name);
  }
  return L;
}

void run(lua_State *L, const char *script) {
  if (luaL_loadstring(L, script) != 0 || lua_pcall(L, 0, 0, 0) != 0) g_error("%s: %s", script, lua_tostring(L, -1));
}

/* But for the module's own, which stay. */
static int count_hook(const struct atfork_info *info, void *count) {
  if (strcmp(info->hook.name, "lua") != 0) ++*(int *)count;
  return 0;
}

int hooks(void) {
  int count = 0;
  atfork_foreach(count_hook, &count);
  return count;
}

static void *nothing(void *unused) {
  return unused;
}

void start_thread(void *unused) {
  pthread_t thread;
  (void)unused;
  g_assert_cmpint(pthread_create(&thread, NULL, nothing, NULL), ==, 0);
  pthread_join(thread, NULL);
}
