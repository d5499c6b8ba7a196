/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* strdup() */
#include "module.h"

#include <atfork.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compat.h"
#include "forks.h"
#include "handle.h"
#include "register.h"
#include "state.h"
#include "symbol.h"
#include "table.h"

void module_enter(lua_State *L) {
  state_enter(L);
}

/* What waits even so is run before it returns. */
int module_poll(lua_State *L) {
  struct state *state = state_enter(L);
  if (state == NULL) return atfork_poll();
  bool outer = state->is_polling;
  state->is_polling = true;
  int count = atfork_poll();
  state->is_polling = outer;
  state_enter(L);
  return count;
}

/* ---- hooks() ---- */

struct list {
  struct atfork_info *infos;
  size_t count;
  size_t room;
};

/* Lua raises errors by longjmp(), which must not leave a visit: it only copies. */
static int copy_info(const struct atfork_info *info, void *arg) {
  struct list *list = arg;
  if (forks_is_watch(&info->hook)) return 0;
  if (list->count == list->room) {
    size_t room = list->room == 0 ? 16 : 2 * list->room;
    struct atfork_info *infos = realloc(list->infos, room * sizeof *infos);
    if (infos == NULL) return ENOMEM;
    list->infos = infos;
    list->room = room;
  }
  list->infos[list->count] = *info;
  list->infos[list->count].hook.name = strdup(info->hook.name);
  return list->infos[list->count++].hook.name == NULL ? ENOMEM : 0;
}

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

static int push_list(lua_State *L) {
  const struct list *list = lua_touserdata(L, 1);
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    push_info(L, &list->infos[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

static int hooks(lua_State *L) {
  struct list list = {0};
  state_enter(L);
  lua_pushcfunction(L, push_list);
  int error = atfork_foreach(copy_info, &list);
  lua_pushlightuserdata(L, &list);
  int failed = lua_pcall(L, 1, 1, 0);
  for (size_t i = 0; i < list.count; i++) free((char *)(uintptr_t)list.infos[i].hook.name);
  free(list.infos);
  if (failed) return lua_error(L);
  if (error != 0) return luaL_error(L, "not enough memory");
  return 1;
}

/* ---- per_process() ---- */

static int generation(lua_State *L) {
  lua_pushnumber(L, (lua_Number)atfork_generation());
  return 1;
}

/* In Lua, so that the function may yield everywhere.  It is called again in a process that it has forked itself. */
static const char per_process_source[] =
    "local generation = ...\n"
    "return function(make)\n"
    "  local made_in, value\n"
    "  return function()\n"
    "    local now = generation()\n"
    "    if made_in ~= now then\n"
    "      local made = make()\n"
    "      made_in, value = now, made\n"
    "    end\n"
    "    return value\n"
    "  end\n"
    "end\n";

/* per_process(fn), with the function of that source as upvalue. */
static int per_process(lua_State *L) {
  table_check_dot(L, "per_process");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static void add_per_process(lua_State *L) {
  if (luaL_loadbuffer(L, per_process_source, sizeof per_process_source - 1, "=atfork") != 0) lua_error(L);
  lua_pushcfunction(L, generation);
  lua_call(L, 1, 1);
  lua_pushcclosure(L, per_process, 1);
  lua_setfield(L, -2, "per_process");
}

/* ---- Opening ---- */

void module_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"register", register_hook},
      {"register_after_fork", register_after_fork},
      {"symbol", symbol_new},
      {"hooks", hooks},
      {NULL, NULL},
  };
  handle_open(L);
  symbol_open(L);
  state_open(L);
  luaL_setfuncs(L, functions, 0);
  add_per_process(L);
  /* In place of SWIG's metatable, which refuses on_error. */
  table_open(L);
}
