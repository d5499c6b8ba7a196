/* SPDX-License-Identifier: MIT */
/* For Lua: what fault.h counts and refuses, and with it the allocations of the interpreter. */
#include <lauxlib.h>
#include <lua.h>

#include "fault.h"

static lua_Alloc allocate;

/* Lua takes it for granted that what becomes smaller, or is freed, is not refused. */
static void *allocate_or_not(void *data, void *block, size_t before, size_t size) {
  if (size > 0 && (block == NULL || size > before) && fault_is_refused("lua_Alloc", 0)) return NULL;
  return allocate(data, block, before, size);
}

/* arm(first, many), disarm(): how many there were. */
static int arm(lua_State *L) {
  fault_arm((int)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2));
  return 0;
}

static int disarm(lua_State *L) {
  lua_pushinteger(L, fault_disarm());
  return 1;
}

/* blocks(): how many of malloc() this module has. */
static int blocks(lua_State *L) {
  lua_pushinteger(L, fault_held().blocks);
  return 1;
}

int luaopen_fault(lua_State *L);
__attribute__((visibility("default"))) int luaopen_fault(lua_State *L) {
  void *data;
  allocate = lua_getallocf(L, &data);
  lua_setallocf(L, allocate_or_not, data);
  lua_newtable(L);
  lua_pushcfunction(L, arm);
  lua_setfield(L, -2, "arm");
  lua_pushcfunction(L, disarm);
  lua_setfield(L, -2, "disarm");
  lua_pushcfunction(L, blocks);
  lua_setfield(L, -2, "blocks");
  return 1;
}
