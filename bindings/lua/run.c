/* SPDX-License-Identifier: MIT */
#include "run.h"

#include "compat.h"
#include "forks.h"
#include "report.h"
#include "state.h"

static void lay_out(struct state *state) {
  lua_State *runner = state->runner;
  lua_settop(runner, 0);
  lua_pushcfunction(runner, report_handler);
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    lua_rawgeti(runner, LUA_REGISTRYINDEX, state->hooks.functions[phase]);
}

void run_open(lua_State *L, struct state *state) {
  state->runner = lua_newthread(L);
  luaL_ref(L, LUA_REGISTRYINDEX);
  lay_out(state);
}

/* Inside another callback what is at hand on the stack is that one's. */
static bool run_nested(struct state *state, const struct hook *hook, enum phase phase, enum answer answer) {
  lua_State *runner = state->runner;
  int base = lua_gettop(runner);
  struct call outer = state->run.call;
  if (!lua_checkstack(runner, LUA_MINSTACK)) {
    report_no_memory(hook, phase_names[phase]);
    return false;
  }
  lua_pushcfunction(runner, report_handler);
  lua_rawgeti(runner, LUA_REGISTRYINDEX, state->hooks.functions[phase]);
  lua_rawgeti(runner, -1, hook_slot(hook));
  lua_remove(runner, -2);
  state->run.depth++;
  state->run.call = (struct call){hook, phase, answer};
  bool returned = lua_pcall(runner, 0, 0, base + 1) == 0;
  if (!returned) report_error(runner, hook, phase_names[phase]);
  state->run.call = outer;
  state->run.depth--;
  lua_settop(runner, base);
  return returned;
}

bool run_call(struct state *state, const struct hook *hook, enum phase phase, enum answer answer) {
  lua_State *runner = state->runner;
  if (state->run.depth != 0) return run_nested(state, hook, phase, answer);
  state->run.depth = 1;
  state->run.call = (struct call){hook, phase, answer};
  lua_rawgeti(runner, RUN_FUNCTIONS + (int)phase, hook_slot(hook));
  bool returned = lua_pcall(runner, 0, 0, RUN_HANDLER) == 0;
  if (!returned) report_error(runner, hook, phase_names[phase]);
  state->run.depth = 0;
  return returned;
}

void run_check_layout(struct state *state) {
  if (state->run.depth == 0 && lua_gettop(state->runner) != RUN_LAYOUT) lay_out(state);
}

/* LuaJIT may be recording the code that forks, and what runs here is no part of that: as it does for a callback itself.
 */
static void stop_recording(const struct state *state) {
  lua_State *L = state->runner;
  if (state->inside.is_jit) lua_sethook(L, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L));
}

bool run_now(const struct hook *hook, enum phase phase) {
  struct state *state = hook_state(hook);
  stop_recording(state);
  run_check_layout(state);
  return run_call(state, hook, phase, NOW);
}

void run_late(struct state *state, const struct hook *hook, enum phase phase, bool is_prepared) {
  run_check_layout(state);
  run_call(state, hook, phase, is_prepared ? LATE_AND_PREPARED : LATE);
}

/* ---- Whether a hook is prepared: a bit for each fork under way ---- */

/* Written only where it changes, as most often it does not. */
void run_note_prepared(const struct hook *hook, bool is_prepared) {
  uint64_t *word = hook_prepared(hook), bit = UINT64_C(1) << forks_number(PREPARE);
  if (((*word & bit) != 0) != is_prepared) *word ^= bit;
}

bool run_is_prepared_in_c(const struct hook *hook) {
  return hook->symbols != NULL && hook->symbols->of[PREPARE].call != NULL;
}

bool run_is_prepared(const struct call *call) {
  if (call->answer != NOW) return call->answer == LATE_AND_PREPARED;
  if (!forks_tell(call->phase)) return false;
  return run_is_prepared_in_c(call->hook) || (*hook_prepared(call->hook) >> forks_number(call->phase) & 1) != 0;
}
