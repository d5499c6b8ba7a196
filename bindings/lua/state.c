/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <stdlib.h>

#include "compat.h"

/* Its address is the key of the userdata in the registry. */
static const char place_key;

struct state *state_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &place_key);
  struct state **place = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return *place;
}

void state_disown(struct state *state) {
  if (atomic_fetch_sub(&state->owners, 1) != 1) return;
  hook_free_all(&state->hooks);
  free(state);
}

/* ---- Coming in ---- */

/* Keeps a reference to the calling coroutine, so that its stack can be read later. */
static void note_coroutine(lua_State *L, struct state *state) {
  if (lua_pushthread(L) && state->main == NULL) {
    state->main = L;
    inside_look(L, state);
  }
  lua_rawseti(L, LUA_REGISTRYINDEX, state->latest_reference);
  state->latest = L;
}

/* Nothing refers to the userdata, so each cycle of the collector ends with a call of its finaliser. */
static void arm_pulse(lua_State *L, struct state *state) {
  lua_newuserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, state->pulse_metatable);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  state->has_pulse = true;
}

static struct state *come_in(lua_State *L, struct state *state) {
  if (state == NULL) return NULL;
  /* Before a coroutine with our debug hook is released. */
  if (state->waiting.has_stand_ins) waiting_restore_debug_hooks(state);
  if (state->latest != L) note_coroutine(L, state);
  inside_note(state);
  if (!state->has_pulse) arm_pulse(L, state);
  if (atomic_load_explicit(&state->waiting.mark, memory_order_relaxed) != 0) waiting_run(state);
  return state;
}

struct state *state_enter(lua_State *L) {
  return come_in(L, state_of(L));
}

struct state *state_enter_quickly(lua_State *L) {
  struct state **place = lua_touserdata(L, lua_upvalueindex(1));
  return come_in(L, *place);
}

static int enter_from_collector(lua_State *L) {
  enum { MORE_THAN_FOR_ERRORS = 250 };
  struct state *state = state_of(L);
  if (state == NULL) return 0;
  state->has_pulse = false;
  if (lua_checkstack(L, MORE_THAN_FOR_ERRORS)) state_enter(L);
  return 0;
}

/*
 * Works as a call of the module, from the running coroutine.  If a host sets its own debug hook in each coroutine,
 * there is no other way to run callbacks that wait.  Not done if the stack has overflowed, as there is room only for an
 * error handler.  Without memory it raises no error, as the error would belong to the code that is running.
 */
static int on_pulse(lua_State *L) {
  call_protected(L, enter_from_collector);
  return 0;
}

/* ---- Its beginning and its end ---- */

/* lua_close() unregisters the hooks of the state. */
static int close_state(lua_State *L) {
  struct state **place = lua_touserdata(L, 1);
  struct state *state = *place;
  if (state == NULL) return 0;
  *place = NULL;
  waiting_restore_debug_hooks(state);
  atomic_store(&state->closed, true);
  hook_unregister_all(&state->hooks);
  state_disown(state);
  return 0;
}

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

/* Replaces the function on top by a metatable with the function as __gc. */
static void push_finalising_metatable(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_insert(L, -2);
  lua_setfield(L, -2, "__gc");
}

void state_push_finalised(lua_State *L) {
  push_finalising_metatable(L);
  lua_newuserdata(L, 1);
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
}

/* The userdata comes first: what is made after it will be freed by its finaliser. */
static struct state *push_place(lua_State *L) {
  struct state **place = lua_newuserdata(L, sizeof(struct state *));
  *place = NULL;
  lua_pushcfunction(L, close_state);
  push_finalising_metatable(L);
  lua_setmetatable(L, -2);
  *place = calloc(1, sizeof **place);
  if (*place == NULL) luaL_error(L, "not enough memory");
  atomic_store(&(*place)->owners, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &place_key);
  return *place;
}

struct state *state_open(lua_State *L) {
  struct state *state = push_place(L);
  state->main = find_main(L);
  lua_pushboolean(L, true);
  state->latest_reference = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushcfunction(L, on_pulse);
  push_finalising_metatable(L);
  state->pulse_metatable = luaL_ref(L, LUA_REGISTRYINDEX);
  inside_look(L, state);
  return state;
}
