/* SPDX-License-Identifier: MIT */
#include "dispatch.h"

#include "forks.h"
#include "state.h"

/* Whether this thread may enter Lua from inside fork().  The thread does not move during a fork, so the answer is the
 * same in all phases, and they pair. */
static bool enters(const struct state *state, enum phase phase) {
  return !atomic_load_explicit(&state->closed, memory_order_acquire) && inside_may_enter(state, forks_of(phase).alone);
}

/* LuaJIT may be recording the code that forks.  The callback must not become part of the trace, so recording is
 * aborted, as LuaJIT does for its own callbacks. */
static bool run_now(const struct hook *hook, enum phase phase) {
  struct state *state = hook_state(hook);
  lua_State *L = state->runner;
  if (inside_is_jit()) lua_sethook(L, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L));
  return run_checked(state, hook, phase, NOW);
}

static void on_prepare(void *data) {
  struct hook *hook = data;
  if (enters(hook_state(hook), PREPARE)) run_note_prepared(hook, run_now(hook, PREPARE));
}

/* For a hook with a prepare: if its prepare did not run, this callback does not run either. */
static void on_paired_parent(void *data) {
  const struct hook *hook = data;
  if (enters(hook_state(hook), PARENT)) run_now(hook, PARENT);
}

static void on_parent(void *data) {
  struct hook *hook = data;
  if (enters(hook_state(hook), PARENT))
    run_now(hook, PARENT);
  else if (!atomic_load(&hook_state(hook)->closed))
    waiting_add(hook, PARENT, hook_is_in_c(hook, PREPARE));
}

/*
 * Child hooks run once in a process.  So the answer for the first hook of a state holds for all of them, and nothing is
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
    if (state->run.enters) run_check_layout(state);
  }
  if (state->run.enters)
    run_call(state, hook, CHILD, NOW);
  else
    waiting_add(hook, CHILD, hook_is_in_c(hook, PREPARE) && forks_of(CHILD).is_told);
}

/* C functions, whatever Lua is doing. */
static void call_c(const struct hook *hook, enum phase phase) {
  const struct c_function *function = &hook->functions[phase];
  function->call(function->data);
}
static void on_prepare_in_c(void *data) {
  call_c(data, PREPARE);
}
static void on_parent_in_c(void *data) {
  call_c(data, PARENT);
}
static void on_child_in_c(void *data) {
  call_c(data, CHILD);
}

/* The core's destroy(). */
static void on_destroy(void *data) {
  struct state *state = hook_state(data);
  hook_ended(&state->hooks, data);
  state_disown(state);
}

/* Whether the core may call the C functions directly: the hook has no Lua function, and no object to keep. */
static bool may_be_direct(const struct hook *hook) {
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    if (hook->is_in[phase] && (!hook_is_in_c(hook, phase) || hook->functions[phase].data != NULL)) return false;
  return true;
}

struct atfork_hook dispatch_hook(struct hook *hook) {
  const struct c_function *functions = hook->functions;
  hook->is_direct = may_be_direct(hook);
  if (hook->is_direct)
    return (struct atfork_hook){
        .prepare = functions[PREPARE].call, .parent = functions[PARENT].call, .child = functions[CHILD].call};
  struct atfork_hook core = {.data = hook, .destroy = on_destroy};
  if (hook->is_in[PREPARE]) core.prepare = hook_is_in_c(hook, PREPARE) ? on_prepare_in_c : on_prepare;
  if (hook->is_in[PARENT])
    core.parent = hook_is_in_c(hook, PARENT)   ? on_parent_in_c
                  : core.prepare == on_prepare ? on_paired_parent
                                               : on_parent;
  if (hook->is_in[CHILD]) core.child = hook_is_in_c(hook, CHILD) ? on_child_in_c : on_child;
  return core;
}
