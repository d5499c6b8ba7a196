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
#include "per_process.h"
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

/* ---- prepared() ---- */

static int prepared(lua_State *L) {
  const struct state *state = state_enter_open(L);
  if (state->run.depth == 0 || state->run.call.phase == PREPARE)
    return luaL_error(L, "prepared() is for parent and child callbacks, while they run");
  lua_pushboolean(L, run_is_prepared(&state->run.call));
  return 1;
}

/* ---- Opening ---- */

void module_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"register", register_hook}, {"register_after_fork", register_after_fork},
      {"symbol", symbol_new},      {"hooks", hooks},
      {"prepared", prepared},      {NULL, NULL},
  };
  handle_open(L);
  symbol_open(L);
  state_open(L);
  luaL_setfuncs(L, functions, 0);
  per_process_open(L);
  /* In place of SWIG's metatable, which refuses on_error. */
  table_open(L);
}
