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
static bool run_nested(struct state *state, struct call call) {
  lua_State *runner = state->runner;
  int base = lua_gettop(runner);
  struct call outer = state->run.call;
  if (!lua_checkstack(runner, LUA_MINSTACK)) {
    report_no_memory(call.hook, hook_phase_names[call.phase]);
    return false;
  }
  lua_pushcfunction(runner, report_handler);
  lua_rawgeti(runner, LUA_REGISTRYINDEX, state->hooks.functions[call.phase]);
  lua_rawgeti(runner, -1, hook_slot(call.hook));
  lua_remove(runner, -2);
  state->run.depth++;
  state->run.call = call;
  bool returned = lua_pcall(runner, 0, 0, base + 1) == 0;
  if (!returned) report_error(runner, call.hook, hook_phase_names[call.phase]);
  state->run.call = outer;
  state->run.depth--;
  lua_settop(runner, base);
  return returned;
}

bool run_call(struct state *state, struct call call) {
  lua_State *runner = state->runner;
  if (state->run.depth != 0) return run_nested(state, call);
  state->run.depth = 1;
  state->run.call = call;
  lua_rawgeti(runner, RUN_FUNCTIONS + (int)call.phase, hook_slot(call.hook));
  bool returned = lua_pcall(runner, 0, 0, RUN_HANDLER) == 0;
  if (!returned) report_error(runner, call.hook, hook_phase_names[call.phase]);
  state->run.depth = 0;
  return returned;
}

void run_check_layout(struct state *state) {
  if (state->run.depth == 0 && lua_gettop(state->runner) != RUN_LAYOUT) lay_out(state);
}

bool run_now(const struct hook *hook, enum phase phase) {
  struct state *state = hook_state(hook);
  run_check_layout(state);
  return run_call(state, (struct call){.hook = hook, .phase = phase});
}

void run_late(struct state *state, const struct hook *hook, enum phase phase, bool is_prepared) {
  run_check_layout(state);
  run_call(state, (struct call){.hook = hook, .phase = phase, .is_late = true, .is_prepared = is_prepared});
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
  if (call->is_late) return call->is_prepared;
  if (!forks_tell(call->phase)) return false;
  return run_is_prepared_in_c(call->hook) || (*hook_prepared(call->hook) >> forks_number(call->phase) & 1) != 0;
}
