/* SPDX-License-Identifier: MIT */
#include "per_process.h"

#include <atfork.h>
#include <stdbool.h>

#include "compat.h"
#include "enter.h"
#include "inherited.h"
#include "register.h"
#include "report.h"
#include "table.h"

/* ---- A value's cell: {generation that made it, value} ---- */

enum { MADE_IN = 1, VALUE };

/* In Lua, so that the function may yield everywhere.  It is called again in a process that it has forked itself.  The
 * cell is taken away first, so that of two coroutines that ask, one leaves what is in it. */
static const char source[] =
    "local generation, leave, own = ...\n"
    "return function(make, discard)\n"
    "  local cell = {}\n"
    "  return function()\n"
    "    local now = generation()\n"
    "    if cell[1] ~= now then\n"
    "      local inherited = cell\n"
    "      cell = {}\n"
    "      leave(inherited, discard)\n"
    "      cell = own(now, make())\n"
    "    end\n"
    "    return cell[2]\n"
    "  end\n"
    "end\n";

static int generation(lua_State *L) {
  lua_pushnumber(L, (lua_Number)atfork_generation());
  return 1;
}

/* own(generation, value, …): a cell of this process. */
static int own(lua_State *L) {
  lua_settop(L, VALUE);
  lua_createtable(L, VALUE, 0);
  for (int i = MADE_IN; i <= VALUE; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i);
  }
  inherited_watch(L, lua_gettop(L));
  return 1;
}

/* leave(cell, discard) */
static int leave(lua_State *L) {
  lua_rawgeti(L, 1, MADE_IN);
  if (lua_isnil(L, -1)) return 0;
  if (lua_isnil(L, 2)) {
    inherited_keep(L, 1);
    return 0;
  }
  inherited_let_go(L, 1);
  lua_pushcfunction(L, report_handler);
  lua_pushvalue(L, 2);
  lua_rawgeti(L, 1, VALUE);
  if (lua_pcall(L, 1, 0, -3) != 0) report_error(L, NULL, "discard");
  return 0;
}

/* ---- per_process(fn, {discard = fn}) ---- */

/* Leaves `discard`, or nil, at index 2. */
static void check_options(lua_State *L) {
  static const char *const known[] = {"discard", NULL};
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return;
  if (!lua_istable(L, 2))
    luaL_error(L, "bad argument #2 to 'per_process' (table expected, got %s)", luaL_typename(L, 2));
  table_check_fields(L, 2, "per_process", known);
  lua_getfield(L, 2, "discard");
  if (!lua_isnil(L, -1) && !lua_isfunction(L, -1))
    luaL_error(L, "bad argument #2 to 'per_process' (field 'discard': function expected, got %s)",
               luaL_typename(L, -1));
  lua_replace(L, 2);
}

/* Also in spawned(), where no fork has made this process: it has made itself what was made before. */
static int on_child(lua_State *L) {
  if (state_of(L)->takes_place)
    inherited_empty(L);
  else
    inherited_keep_all(L);
  return 0;
}

/* Before all other hooks, and once in a state. */
static void watch_children(lua_State *L) {
  struct state *state = enter_open(L);
  if (state->keeps_inherited) return;
  lua_pushcfunction(L, on_child);
  register_child(L, "per_process", ATFORK_PRIORITY_MIN);
  state->keeps_inherited = true;
}

/* With the function of that source as upvalue. */
static int per_process(lua_State *L) {
  table_check_dot(L, "per_process");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  check_options(L);
  watch_children(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_settop(L, 3);
  lua_call(L, 2, 1);
  return 1;
}

void per_process_open(lua_State *L) {
  inherited_open(L);
  if (luaL_loadbuffer(L, source, sizeof source - 1, "=atfork") != 0) lua_error(L);
  lua_pushcfunction(L, generation);
  lua_pushcfunction(L, leave);
  lua_pushcfunction(L, own);
  lua_call(L, 3, 1);
  lua_pushcclosure(L, per_process, 1);
  lua_setfield(L, -2, "per_process");
}
