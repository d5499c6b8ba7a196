/* SPDX-License-Identifier: MIT */
#include "dispatch.h"

#include "forks.h"
#include "inside.h"
#include "run.h"
#include "state.h"
#include "waiting.h"

/* Whether Lua may be entered from where this thread is inside fork().  It stays there for all of a fork, so the answer
 * is the same in all phases, and they pair. */
static bool enters(const struct state *state, enum phase phase) {
  return !atomic_load_explicit(&state->closed, memory_order_acquire) && inside_may_enter(state, forks_alone(phase));
}

static void on_prepare(void *data) {
  const struct hook *hook = data;
  if (enters(hook_state(hook), PREPARE)) run_note_prepared(hook, run_now(hook, PREPARE));
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
    waiting_add(hook, PARENT, run_is_prepared_in_c(hook));
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
  if (state->dispatch.decided != mark) {
    state->dispatch.decided = mark;
    state->dispatch.enters = enters(state, CHILD);
    if (state->dispatch.enters) run_check_layout(state);
  }
  if (state->dispatch.enters)
    run_call(state, hook, CHILD, NOW);
  else
    waiting_add(hook, CHILD, run_is_prepared_in_c(hook) && forks_tell(CHILD));
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

/* The core's destroy(). */
static void on_destroy(void *data) {
  struct state *state = hook_state(data);
  hook_ended(data);
  state_disown(state);
}

struct atfork_hook dispatch_hook(struct hook *hook, const bool has_function[PHASES]) {
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
  core.destroy = on_destroy;
  if (has_function[PREPARE]) core.prepare = on_prepare;
  if (has_function[PARENT]) core.parent = has_function[PREPARE] ? on_paired_parent : on_parent;
  if (has_function[CHILD]) core.child = on_child;
  if (symbols != NULL && symbols->of[PREPARE].call != NULL) core.prepare = on_prepare_symbol;
  if (symbols != NULL && symbols->of[PARENT].call != NULL) core.parent = on_parent_symbol;
  if (symbols != NULL && symbols->of[CHILD].call != NULL) core.child = on_child_symbol;
  return core;
}
