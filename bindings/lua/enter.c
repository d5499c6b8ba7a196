/* SPDX-License-Identifier: MIT */
#include "enter.h"

#include "compat.h"
#include "forks.h"
#include "inside.h"
#include "run.h"
#include "waiting.h"

/* Keeps the coroutine that calls, so that where it stands can be looked at later. */
static void note_coroutine(lua_State *L, struct state *state) {
  if (lua_pushthread(L) && state->main == NULL) {
    state->main = L;
    inside_look(L, state);
  }
  lua_rawseti(L, LUA_REGISTRYINDEX, state->latest_reference);
  state->latest = L;
}

static const char pulse_key;

/* Nobody holds the userdata, so each cycle of the collector ends with a call of its finaliser. */
static void arm_pulse(lua_State *L, struct state *state) {
  lua_newuserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &pulse_key);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  state->has_pulse = true;
}

static struct state *come_in(lua_State *L, struct state *state) {
  if (state == NULL) return NULL;
  /* Before a coroutine is let go that has our debug hook. */
  waiting_restore_debug_hooks(state);
  if (state->latest != L) note_coroutine(L, state);
  inside_note(state);
  if (!state->has_pulse) arm_pulse(L, state);
  waiting_run(state);
  return state;
}

struct state *enter(lua_State *L) {
  return come_in(L, state_of(L));
}

static struct state *check_open(lua_State *L, struct state *state) {
  if (state == NULL) luaL_error(L, "this Lua state is being closed");
  return state;
}

struct state *enter_open(lua_State *L) {
  return check_open(L, enter(L));
}

struct state *enter_quickly(lua_State *L) {
  struct state **place = lua_touserdata(L, lua_upvalueindex(1));
  return check_open(L, come_in(L, *place));
}

/* ---- The collector ---- */

/*
 * As a call of the module, from whichever coroutine is running.  A host that sets a debug hook of its own in each
 * coroutine leaves no other way to run what waits.  But not where the stack has overflown, for which there is room for
 * an error's handler alone.
 */
static int on_pulse(lua_State *L) {
  enum { MORE_THAN_FOR_ERRORS = 250 };
  struct state *state = state_of(L);
  if (state == NULL) return 0;
  state->has_pulse = false;
  if (lua_checkstack(L, MORE_THAN_FOR_ERRORS)) enter(L);
  return 0;
}

static void add_pulse(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, on_pulse);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &pulse_key);
}

/* ---- Its end ---- */

/* lua_close(): the state takes its hooks with it. */
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

void enter_first(lua_State *L) {
  if (state_is_there(L)) return;
  if (!forks_watch()) luaL_error(L, "not enough memory");
  struct state *state = state_new(L, close_state);
  state->main = find_main(L);
  state->inside.is_jit = &luaJIT_setmode != NULL;
  lua_pushboolean(L, true);
  state->latest_reference = luaL_ref(L, LUA_REGISTRYINDEX);
  hook_open(L, &state->hooks);
  run_open(L, state);
  add_pulse(L);
  inside_look(L, state);
}
