/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <stdio.h>

#include "compat.h"
#include "forks.h"
#include "state.h"

/* These lie on the runner's stack for good, so a call of a callback only reads a table. */
enum { HANDLER = 1, FUNCTIONS, LAYOUT = FUNCTIONS + PHASES - 1 };

static void lay_out(struct state *state) {
  lua_State *runner = state->runner;
  lua_settop(runner, 0);
  lua_rawgeti(runner, LUA_REGISTRYINDEX, state->run.handler);
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    lua_rawgeti(runner, LUA_REGISTRYINDEX, state->run.functions[phase]);
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* At the first call, Lua allocates what it needs for calls, and keeps it: at a fork there may be no memory.  No error
 * may leave the runner, as no protected call surrounds it. */
void run_open(lua_State *L, struct state *state) {
  state->runner = lua_newthread(L);
  luaL_ref(L, LUA_REGISTRYINDEX);
  lay_out(state);
  lua_pushcfunction(L, nothing);
  lua_xmove(L, state->runner, 1);
  if (lua_pcall(state->runner, 0, 0, 0) != 0) luaL_error(L, "not enough memory");
}

/* ---- Errors ---- */

static void say_no_memory(const struct hook *hook, enum phase phase) {
  fprintf(stderr, "atfork: no memory for %s of hook %llx\n", phase_names[phase], (unsigned long long)hook->id);
  fflush(stderr);
}

/* The result of the error handler is on top of the stack, and is popped.  Pushing needs no memory here. */
static void report(struct state *state, const struct hook *hook, enum phase phase) {
  lua_State *L = state->runner;
  int failure = lua_gettop(L);
  bool has_room = lua_checkstack(L, LUA_MINSTACK);
  if (has_room) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->run.report);
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->run.hooks);
    lua_rawgeti(L, -1, hook_slot(hook));
    lua_remove(L, -2);
    lua_pushinteger(L, (lua_Integer)phase + 1);
    lua_pushvalue(L, failure);
  }
  if (!has_room || lua_pcall(L, 3, 0, 0) != 0) say_no_memory(hook, phase);
  lua_settop(L, failure - 1);
}

/* ---- Calling ---- */

/* The function is on top, and its error handler at an index of the stack. */
static bool call_top(struct state *state, const struct hook *hook, enum phase phase, int handler) {
  if (lua_pcall(state->runner, 0, 0, handler) == 0) return true;
  report(state, hook, phase);
  return false;
}

/* Inside another callback, the stack has that callback's values.  Not inlined, to keep the usual path short. */
__attribute__((noinline)) static bool call_nested(struct state *state, const struct hook *hook, enum phase phase,
                                                  enum answer answer) {
  lua_State *runner = state->runner;
  int base = lua_gettop(runner);
  struct call outer = state->run.call;
  if (!lua_checkstack(runner, LUA_MINSTACK)) {
    say_no_memory(hook, phase);
    return false;
  }
  lua_rawgeti(runner, LUA_REGISTRYINDEX, state->run.handler);
  lua_rawgeti(runner, LUA_REGISTRYINDEX, state->run.functions[phase]);
  lua_rawgeti(runner, -1, hook_slot(hook));
  lua_remove(runner, -2);
  state->run.depth++;
  state->run.call = (struct call){hook, phase, answer};
  bool returned = call_top(state, hook, phase, base + 1);
  state->run.call = outer;
  state->run.depth--;
  lua_settop(runner, base);
  return returned;
}

bool run_call(struct state *state, const struct hook *hook, enum phase phase, enum answer answer) {
  if (state->run.depth != 0) return call_nested(state, hook, phase, answer);
  state->run.depth = 1;
  state->run.call = (struct call){hook, phase, answer};
  lua_rawgeti(state->runner, FUNCTIONS + (int)phase, hook_slot(hook));
  bool returned = call_top(state, hook, phase, HANDLER);
  state->run.depth = 0;
  return returned;
}

void run_check_layout(struct state *state) {
  if (state->run.depth == 0 && lua_gettop(state->runner) != LAYOUT) lay_out(state);
}

bool run_checked(struct state *state, const struct hook *hook, enum phase phase, enum answer answer) {
  run_check_layout(state);
  return run_call(state, hook, phase, answer);
}

/* ---- Whether a hook is prepared: a bit for each fork under way ---- */

/* Written only if it changes, which is rare. */
void run_note_prepared(struct hook *hook, bool is_prepared) {
  uint64_t bit = UINT64_C(1) << forks_of(PREPARE).number;
  if (((hook->prepared & bit) != 0) != is_prepared) hook->prepared ^= bit;
}

bool run_is_prepared(const struct call *call) {
  if (call->answer != NOW) return call->answer == LATE_AND_PREPARED;
  struct told_fork fork = forks_of(call->phase);
  return fork.is_told && (hook_is_in_c(call->hook, PREPARE) || (call->hook->prepared >> fork.number & 1) != 0);
}
