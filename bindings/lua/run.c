/* SPDX-License-Identifier: MIT */
#include "run.h"

#include "compat.h"
#include "forks.h"
#include "report.h"
#include "state.h"

/* What lies on the runner's stack, for good: callbacks are called with nothing but a look into a table. */
enum { HANDLER = 1, FUNCTIONS, LAYOUT = FUNCTIONS + PHASES - 1 };

/* ---- Calling ---- */

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

/* Calls the hook's function, and reports its error; false then. */
static inline bool run(struct state *state, struct call call) {
  lua_State *runner = state->runner;
  if (state->run.depth != 0) return run_nested(state, call);
  state->run.depth = 1;
  state->run.call = call;
  lua_rawgeti(runner, FUNCTIONS + (int)call.phase, hook_slot(call.hook));
  bool returned = lua_pcall(runner, 0, 0, HANDLER) == 0;
  if (!returned) report_error(runner, call.hook, hook_phase_names[call.phase]);
  state->run.depth = 0;
  return returned;
}

/* Where a script got hold of the runner between callbacks, and resumed it, the stack is not as it was. */
static void check_layout(struct state *state) {
  if (state->run.depth == 0 && lua_gettop(state->runner) != LAYOUT) lay_out(state);
}

static bool run_now(const struct hook *hook, enum phase phase) {
  struct state *state = hook_state(hook);
  check_layout(state);
  return run(state, (struct call){.hook = hook, .phase = phase});
}

void run_late(struct state *state, const struct hook *hook, enum phase phase, bool is_prepared) {
  check_layout(state);
  run(state, (struct call){.hook = hook, .phase = phase, .is_late = true, .is_prepared = is_prepared});
}

/* ---- Whether a hook is prepared: a bit for each fork under way ---- */

/* Written only where it changes, as most often it does not. */
static void note_prepared(const struct hook *hook, bool is_prepared) {
  uint64_t *word = hook_prepared(hook), bit = UINT64_C(1) << forks_number(PREPARE);
  if (((*word & bit) != 0) != is_prepared) *word ^= bit;
}

/* A prepare in C runs in each fork that tells. */
static bool is_prepared_in_c(const struct hook *hook) {
  return hook->symbols != NULL && hook->symbols->of[PREPARE].call != NULL;
}

bool run_is_prepared(const struct call *call) {
  if (call->is_late) return call->is_prepared;
  if (!forks_tell(call->phase)) return false;
  return is_prepared_in_c(call->hook) || (*hook_prepared(call->hook) >> forks_number(call->phase) & 1) != 0;
}

/* ---- What the core calls ---- */

/* Whether Lua may be entered from where this thread is inside fork().  It stays there for all of a fork, so the answer
 * is the same in all phases, and they pair. */
static bool enters(const struct state *state, enum phase phase) {
  return !atomic_load_explicit(&state->closed, memory_order_acquire) && inside_may_enter(state, forks_alone(phase));
}

static void on_prepare(void *data) {
  const struct hook *hook = data;
  if (enters(hook_state(hook), PREPARE)) note_prepared(hook, run_now(hook, PREPARE));
}

/* Of a hook that has a prepare: when that did not run, this does not. */
static void on_paired_parent(void *data) {
  const struct hook *hook = data;
  if (enters(hook_state(hook), PARENT)) run_now(hook, PARENT);
}

static void on_parent(void *data) {
  struct hook *hook = data;
  if (enters(hook_state(hook), PARENT))
    run_now(hook, PARENT);
  else if (!atomic_load(&hook_state(hook)->closed))
    waiting_add(hook, PARENT, is_prepared_in_c(hook));
}

/*
 * There is one run of child hooks in a process, so the answer for the first of a state is that for all, and nothing is
 * written for each.
 */
static void on_child(void *data) {
  struct hook *hook = data;
  struct state *state = hook_state(hook);
  uint64_t mark = atfork_generation() + 1;
  if (atomic_load_explicit(&state->closed, memory_order_relaxed)) return;
  if (state->run.decided != mark) {
    state->run.decided = mark;
    state->run.enters = enters(state, CHILD);
    if (state->run.enters) check_layout(state);
  }
  if (state->run.enters)
    run(state, (struct call){.hook = hook, .phase = CHILD});
  else
    waiting_add(hook, CHILD, is_prepared_in_c(hook) && forks_tell(CHILD));
}

/* C functions that the core does not call directly. */
static void call_symbol(const struct hook *hook, enum phase phase) {
  const struct c_function *function = &hook->symbols->of[phase];
  function->call(function->data);
}
static void on_prepare_symbol(void *data) {
  call_symbol(data, PREPARE);
}
static void on_parent_symbol(void *data) {
  call_symbol(data, PARENT);
}
static void on_child_symbol(void *data) {
  call_symbol(data, CHILD);
}

/* Whether the core may call them: they are all that the hook has, with one data, which nobody has to keep. */
static bool may_be_called_directly(const struct symbols *symbols, const bool has_function[PHASES], void **data) {
  const struct c_function *first = NULL;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    const struct c_function *function = &symbols->of[phase];
    if (has_function[phase] || function->needs_object) return false;
    if (function->call == NULL) continue;
    if (first == NULL) first = function;
    if (function->data != first->data) return false;
  }
  *data = first->data;
  return true;
}

struct atfork_hook run_callbacks(struct hook *hook, const bool has_function[PHASES]) {
  struct symbols *symbols = hook->symbols;
  struct atfork_hook core = {0};
  if (symbols != NULL && may_be_called_directly(symbols, has_function, &core.data)) {
    symbols->are_all = true;
    core.prepare = symbols->of[PREPARE].call;
    core.parent = symbols->of[PARENT].call;
    core.child = symbols->of[CHILD].call;
    return core;
  }
  core.data = hook;
  core.destroy = hook_ended;
  if (has_function[PREPARE]) core.prepare = on_prepare;
  if (has_function[PARENT]) core.parent = has_function[PREPARE] ? on_paired_parent : on_parent;
  if (has_function[CHILD]) core.child = on_child;
  if (symbols != NULL && symbols->of[PREPARE].call != NULL) core.prepare = on_prepare_symbol;
  if (symbols != NULL && symbols->of[PARENT].call != NULL) core.parent = on_parent_symbol;
  if (symbols != NULL && symbols->of[CHILD].call != NULL) core.child = on_child_symbol;
  return core;
}
