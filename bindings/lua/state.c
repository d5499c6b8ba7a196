/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <stdlib.h>

#include "compat.h"

/* What the registry knows it by: the address. */
static const char state_key;

/* The userdata that lies there holds a pointer, and is what lua_close() collects. */
static struct state **place_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
  struct state **place = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return place;
}

struct state *state_of(lua_State *L) {
  return *place_of(L);
}

bool state_is_there(lua_State *L) {
  return place_of(L) != NULL;
}

void state_push_place(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
}

/* The userdata first: from then on, what is made is collected. */
struct state *state_new(lua_State *L, lua_CFunction close) {
  struct state **place = lua_newuserdata(L, sizeof(struct state *));
  *place = NULL;
  lua_newtable(L);
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  *place = calloc(1, sizeof **place);
  if (*place == NULL) luaL_error(L, "not enough memory");
  atomic_store(&(*place)->owners, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
  return state_of(L);
}

void state_disown(struct state *state) {
  if (atomic_fetch_sub(&state->owners, 1) != 1) return;
  hook_free_all(&state->hooks);
  free(state);
}
