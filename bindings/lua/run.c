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
static void run_nested(struct state *state, const struct hook *hook, enum phase phase) {
  lua_State *runner = state->runner;
  int base = lua_gettop(runner);
  if (!lua_checkstack(runner, LUA_MINSTACK)) {
    report_no_memory(hook, hook_phase_names[phase]);
    return;
  }
  lua_pushcfunction(runner, report_handler);
  lua_rawgeti(runner, LUA_REGISTRYINDEX, state->hooks.functions[phase]);
  lua_rawgeti(runner, -1, hook_slot(hook));
  lua_remove(runner, -2);
  state->run.depth++;
  if (lua_pcall(runner, 0, 0, base + 1) != 0) report_error(runner, hook, hook_phase_names[phase]);
  state->run.depth--;
  lua_settop(runner, base);
}

static inline void call(struct state *state, const struct hook *hook, enum phase phase) {
  lua_State *runner = state->runner;
  if (state->run.depth != 0) {
    run_nested(state, hook, phase);
    return;
  }
  state->run.depth = 1;
  lua_rawgeti(runner, FUNCTIONS + (int)phase, hook_slot(hook));
  if (lua_pcall(runner, 0, 0, HANDLER) != 0) report_error(runner, hook, hook_phase_names[phase]);
  state->run.depth = 0;
}

/* Where a script got hold of the runner between callbacks, and resumed it, the stack is not as it was. */
static void check_layout(struct state *state) {
  if (state->run.depth == 0 && lua_gettop(state->runner) != LAYOUT) lay_out(state);
}

void run_function(struct state *state, const struct hook *hook, enum phase phase) {
  check_layout(state);
  call(state, hook, phase);
}

/* ---- What the core calls ---- */

/* Whether Lua may be entered from where this thread is inside fork().  It stays there for all of a fork, so the answer
 * is the same in all phases, and they pair. */
static bool enters(const struct state *state) {
  return !atomic_load_explicit(&state->closed, memory_order_acquire) && inside_may_enter(state, forks_alone());
}

static void on_prepare(void *data) {
  const struct hook *hook = data;
  if (enters(hook_state(hook))) run_function(hook_state(hook), hook, PREPARE);
}

/* Of a hook that has a prepare: when that did not run, this does not. */
static void on_paired_parent(void *data) {
  const struct hook *hook = data;
  if (enters(hook_state(hook))) run_function(hook_state(hook), hook, PARENT);
}

static void on_parent(void *data) {
  struct hook *hook = data;
  if (enters(hook_state(hook)))
    run_function(hook_state(hook), hook, PARENT);
  else if (!atomic_load(&hook_state(hook)->closed))
    waiting_add(hook, PARENT);
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
    state->run.enters = enters(state);
    if (state->run.enters) check_layout(state);
  }
  if (state->run.enters)
    call(state, hook, CHILD);
  else
    waiting_add(hook, CHILD);
}

/* C functions of a hook that has Lua functions too. */
static void on_prepare_symbol(void *data) {
  ((struct hook *)data)->symbols->of[PREPARE](NULL);
}
static void on_parent_symbol(void *data) {
  ((struct hook *)data)->symbols->of[PARENT](NULL);
}
static void on_child_symbol(void *data) {
  ((struct hook *)data)->symbols->of[CHILD](NULL);
}

struct atfork_hook run_callbacks(struct hook *hook, const bool has_function[PHASES]) {
  struct symbols *symbols = hook->symbols;
  struct atfork_hook core = {0};
  if (!has_function[PREPARE] && !has_function[PARENT] && !has_function[CHILD]) {
    symbols->are_all = true;
    core.prepare = symbols->of[PREPARE];
    core.parent = symbols->of[PARENT];
    core.child = symbols->of[CHILD];
    return core;
  }
  core.data = hook;
  core.destroy = hook_ended;
  if (has_function[PREPARE]) core.prepare = on_prepare;
  if (has_function[PARENT]) core.parent = has_function[PREPARE] ? on_paired_parent : on_parent;
  if (has_function[CHILD]) core.child = on_child;
  if (symbols != NULL && symbols->of[PREPARE] != NULL) core.prepare = on_prepare_symbol;
  if (symbols != NULL && symbols->of[PARENT] != NULL) core.parent = on_parent_symbol;
  if (symbols != NULL && symbols->of[CHILD] != NULL) core.child = on_child_symbol;
  return core;
}
