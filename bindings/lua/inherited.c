/* SPDX-License-Identifier: MIT */
#include "inherited.h"

#include <atfork.h>
#include <stdbool.h>

#include "compat.h"
#include "ffi.h"

/* Tables of the registry: cells that live, and cells that are kept; and the guard, below. */
static const char watched_key, kept_key, guard_key, guard_type_key;

/* table[cell] = value, of a boolean or nil on top */
static void put(lua_State *L, const char *key, int cell) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  lua_pushvalue(L, cell);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

/* ---- What is reached from a value ---- */

/* Two tables: what has been seen, and what is yet to be looked into. */
struct walk {
  int seen, list;
  int count;
};

static bool may_be_finalised(lua_State *L, int index) {
  int type = lua_type(L, index);
  return type == LUA_TTABLE || type == LUA_TUSERDATA || ffi_is_cdata(L, index);
}

static void see(lua_State *L, const struct walk *walk, int index) {
  lua_pushvalue(L, index);
  lua_pushboolean(L, true);
  lua_rawset(L, walk->seen);
}

/* Takes the value on top. */
static void add(lua_State *L, struct walk *walk) {
  lua_pushvalue(L, -1);
  lua_rawget(L, walk->seen);
  bool is_new = lua_isnil(L, -1) && may_be_finalised(L, -2);
  lua_pop(L, 1);
  if (!is_new) {
    lua_pop(L, 1);
    return;
  }
  see(L, walk, lua_gettop(L));
  lua_rawseti(L, walk->list, ++walk->count);
}

/* Globals and modules are no value's own. */
static void see_modules(lua_State *L, const struct walk *walk) {
  lua_pushglobaltable(L);
  see(L, walk, lua_gettop(L));
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  see(L, walk, lua_gettop(L));
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    see(L, walk, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

static void add_fields(lua_State *L, struct walk *walk) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    add(L, walk);
    lua_pushvalue(L, -1);
    add(L, walk);
  }
}

/* Those of a userdata.  In Lua 5.1 it has an environment instead, which is most often its library's. */
static void add_user_values(lua_State *L, struct walk *walk) {
#if LUA_VERSION_NUM >= 504
  for (int i = 1; lua_getiuservalue(L, -1, i) != LUA_TNONE; i++) add(L, walk);
  lua_pop(L, 1);
#elif LUA_VERSION_NUM >= 502
  lua_getuservalue(L, -1);
  add(L, walk);
#else
  (void)L;
  (void)walk;
#endif
}

/* ---- Taking away what would be called ---- */

static bool has_finaliser(lua_State *L) {
  if (!lua_getmetatable(L, -1)) return false;
  lua_pushliteral(L, "__gc");
  lua_rawget(L, -2);
  bool has_one = !lua_isnil(L, -1);
  lua_pop(L, 2);
  return has_one;
}

static void take_metatable(lua_State *L) {
  if (!has_finaliser(L)) return;
  lua_pushnil(L);
  lua_setmetatable(L, -2);
}

/* ffi.gc(value, nil) */
static void take_ffi_finaliser(lua_State *L) {
  ffi_push(L, "gc");
  lua_pushvalue(L, -2);
  lua_pushnil(L);
  if (lua_pcall(L, 2, 0, 0) != 0) lua_pop(L, 1);
}

/* What is on top. */
static void disarm(lua_State *L, struct walk *walk, bool closes) {
  int type = lua_type(L, -1);
  if (type == LUA_TTABLE) add_fields(L, walk);
  if (type == LUA_TUSERDATA) add_user_values(L, walk);
  if (type != LUA_TTABLE && type != LUA_TUSERDATA)
    take_ffi_finaliser(L);
  else if (closes)
    take_metatable(L);
}

/*
 * Of the value of the cell on top, and all that it has in tables.  What is not a cdata works as ever until the state
 * closes, so it loses its metatable only then.  LuaJIT ends cdata before, but they work without a finaliser.
 */
static void disarm_all(lua_State *L, bool closes) {
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_newtable(L);
  lua_newtable(L);
  struct walk walk = {.seen = top + 1, .list = top + 2};
  see_modules(L, &walk);
  lua_rawgeti(L, top, 2);
  add(L, &walk);
  while (walk.count > 0) {
    lua_rawgeti(L, walk.list, walk.count--);
    disarm(L, &walk, closes);
    lua_pop(L, 1);
  }
  lua_settop(L, top);
}

/* ---- The guard: finalised before all that is older ---- */

static bool is_of_another_process(lua_State *L, int cell) {
  lua_rawgeti(L, cell, 1);
  bool is = lua_tonumber(L, -1) != (lua_Number)atfork_generation();
  lua_pop(L, 1);
  return is;
}

static void disarm_cells(lua_State *L, const char *key) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    if (is_of_another_process(L, lua_gettop(L))) disarm_all(L, true);
  }
  lua_pop(L, 1);
}

/* The registry keeps the latest, so for that one the state is being closed. */
static int guard_ends(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &guard_key);
  if (!lua_rawequal(L, 1, -1)) return 0;
  disarm_cells(L, &watched_key);
  disarm_cells(L, &kept_key);
  return 0;
}

static void renew_guard(lua_State *L) {
  lua_newuserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &guard_type_key);
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &guard_key);
}

/* ---- Cells ---- */

void inherited_watch(lua_State *L, int cell) {
  lua_pushboolean(L, true);
  put(L, &watched_key, cell);
  renew_guard(L);
}

void inherited_keep(lua_State *L, int cell) {
  lua_pushboolean(L, true);
  put(L, &kept_key, cell);
  lua_pushvalue(L, cell);
  disarm_all(L, false);
  lua_pop(L, 1);
}

void inherited_let_go(lua_State *L, int cell) {
  lua_pushnil(L);
  put(L, &kept_key, cell);
  lua_pushnil(L);
  put(L, &watched_key, cell);
}

void inherited_keep_all(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watched_key);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    if (is_of_another_process(L, lua_gettop(L))) inherited_keep(L, lua_gettop(L));
  }
  lua_pop(L, 1);
  renew_guard(L);
}

void inherited_empty(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watched_key);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawseti(L, -2, 1);
  }
  lua_pop(L, 1);
}

void inherited_open(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
  bool is_open = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (is_open) return;
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &watched_key);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, guard_ends);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &guard_type_key);
}
