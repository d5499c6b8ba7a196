/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <stdlib.h>

#include "compat.h"
#include "forks.h"

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

/* Keeps the coroutine that calls, so that where it stands can be looked at later. */
static void note_coroutine(lua_State *L, struct state *state) {
  if (lua_pushthread(L) && state->main == NULL) {
    state->main = L;
    inside_look(L, state);
  }
  lua_rawseti(L, LUA_REGISTRYINDEX, state->latest_reference);
  state->latest = L;
}

void state_push_place(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
}

static struct state *enter(lua_State *L, struct state *state) {
  if (state == NULL) return NULL;
  /* Before a coroutine is let go that has our debug hook. */
  waiting_restore_debug_hooks(state);
  if (state->latest != L) note_coroutine(L, state);
  inside_note(state);
  waiting_run(state);
  return state;
}

struct state *state_enter(lua_State *L) {
  return enter(L, state_of(L));
}

static struct state *check_open(lua_State *L, struct state *state) {
  if (state == NULL) luaL_error(L, "this Lua state is being closed");
  return state;
}

struct state *state_enter_open(lua_State *L) {
  return check_open(L, state_enter(L));
}

struct state *state_enter_quickly(lua_State *L) {
  struct state **place = lua_touserdata(L, lua_upvalueindex(1));
  return check_open(L, enter(L, *place));
}

/* ---- The collector ---- */

static const char pulse_key;

static void arm_pulse(lua_State *L) {
  lua_newuserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &pulse_key);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/*
 * Nobody holds the userdata, so each cycle of the collector ends with a call of the module, from whichever coroutine is
 * running.  A host that sets a debug hook of its own in each coroutine leaves no other way to run what waits.
 */
static int on_pulse(lua_State *L) {
  if (state_enter(L) != NULL) arm_pulse(L);
  return 0;
}

static void add_pulse(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, on_pulse);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &pulse_key);
  arm_pulse(L);
}

/* ---- Its end ---- */

void state_disown(struct state *state) {
  if (atomic_fetch_sub(&state->owners, 1) != 1) return;
  hook_free_all(state);
  free(state);
}

/* lua_close(): the state takes its hooks with it. */
static int close_state(lua_State *L) {
  struct state **place = lua_touserdata(L, 1);
  struct state *state = *place;
  if (state == NULL) return 0;
  *place = NULL;
  waiting_restore_debug_hooks(state);
  atomic_store(&state->closed, true);
  hook_unregister_all(state);
  state_disown(state);
  return 0;
}

/* ---- Its beginning ---- */

static lua_State *find_main(lua_State *L) {
#if LUA_VERSION_NUM >= 502
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
#else
  lua_State *main = lua_pushthread(L) ? L : NULL;
#endif
  lua_pop(L, 1);
  return main;
}

/* LuaJIT alone has it.  Lua 5.1's module runs there, too. */
int luaJIT_setmode(lua_State *L, int index, int mode) __attribute__((weak));

/* The userdata first: from then on, what is made is collected. */
static struct state *new_state(lua_State *L) {
  struct state **place = lua_newuserdata(L, sizeof(struct state *));
  *place = NULL;
  lua_newtable(L);
  lua_pushcfunction(L, close_state);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  *place = calloc(1, sizeof **place);
  if (*place == NULL) luaL_error(L, "not enough memory");
  atomic_store(&(*place)->owners, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
  return state_of(L);
}

void state_open(lua_State *L) {
  if (place_of(L) != NULL) return;
  if (!forks_watch()) luaL_error(L, "not enough memory");
  struct state *state = new_state(L);
  state->main = find_main(L);
  state->inside.is_jit = &luaJIT_setmode != NULL;
  lua_pushboolean(L, true);
  state->latest_reference = luaL_ref(L, LUA_REGISTRYINDEX);
  hook_open(L, state);
  run_open(L, state);
  add_pulse(L);
  inside_look(L, state);
}
