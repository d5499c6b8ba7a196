/* SPDX-License-Identifier: MIT */
#include "waiting.h"

#include <stdlib.h>

#include "compat.h"
#include "forks.h"
#include "run.h"
#include "state.h"

/* ---- The debug hook ---- */

static void before_next_instruction(lua_State *L, lua_Debug *event);

void waiting_restore_debug_hooks(struct state *state) {
  struct waiting *waiting = &state->waiting;
  if (!waiting->has_stand_ins) return;
  waiting->has_stand_ins = false;
  for (int i = 0; i < STAND_INS; i++) {
    const struct stand_in *stand_in = &waiting->stand_ins[i];
    if (stand_in->L != NULL && lua_gethook(stand_in->L) == before_next_instruction)
      lua_sethook(stand_in->L, stand_in->hook, stand_in->mask, stand_in->count);
  }
}

/* lua_sethook() may be called from outside of Lua. */
static void stand_in_for(struct stand_in *stand_in, lua_State *L) {
  lua_Hook hook = L == NULL ? before_next_instruction : lua_gethook(L);
  if (hook == before_next_instruction) return;
  *stand_in = (struct stand_in){.L = L, .hook = hook};
  if (hook != NULL) {
    stand_in->mask = lua_gethookmask(L);
    stand_in->count = lua_gethookcount(L);
  }
  lua_sethook(L, before_next_instruction, stand_in->mask | LUA_MASKCOUNT, 1);
}

/* LuaJIT has one debug hook for all coroutines: for the second coroutine it is already set.  Elsewhere each coroutine
 * has its own. */
static void stand_in_for_user(struct state *state) {
  struct waiting *waiting = &state->waiting;
  if (!waiting->has_stand_ins) {
    for (int i = 0; i < STAND_INS; i++) waiting->stand_ins[i].L = NULL;
    waiting->has_stand_ins = true;
  }
  stand_in_for(&waiting->stand_ins[0], state->main);
  stand_in_for(&waiting->stand_ins[1], state->latest);
}

/* Restores the user's debug hook at once, and calls it. */
static void before_next_instruction(lua_State *L, lua_Debug *event) {
  struct state *state = state_of(L);
  if (state == NULL) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  struct stand_in user = state->waiting.stand_ins[0];
  if (state->waiting.stand_ins[1].L == L) user = state->waiting.stand_ins[1];
  waiting_restore_debug_hooks(state);
  /* A coroutine made in the meantime has inherited our debug hook. */
  if (lua_gethook(L) == before_next_instruction) lua_sethook(L, user.hook, user.mask, user.count);
  inside_note(state);
  waiting_run(state);
  if (user.hook != NULL && event->event != LUA_HOOKCOUNT && (user.mask & (1 << event->event)) != 0) user.hook(L, event);
}

/* ---- Adding ---- */

void waiting_add(struct hook *hook, enum phase phase, bool is_prepared) {
  struct state *state = hook_state(hook);
  uint64_t mark = due_mark();
  due_add(&hook->due, mark, phase, is_prepared);
  /* Pairs with the store in waiting_run(), which comes before the words are taken: if a word is added too late to be
   * taken leaves its mark. */
  if (atomic_load(&state->waiting.mark) != mark) atomic_store(&state->waiting.mark, mark);
  /* If another thread of a parent may be inside the state, it runs the callback when it calls us next.  A child has no
   * other thread. */
  if (phase == CHILD || inside_is_certain(state, forks_of(phase).alone)) stand_in_for_user(state);
}

/* ---- Running ---- */

bool waiting_is_running(const struct state *state) {
  return state->waiting.running == due_mark();
}

static int by_id(const void *a, const void *b) {
  atfork_id x = ((const struct pending *)a)->id, y = ((const struct pending *)b)->id;
  return x < y ? -1 : x > y;
}

/* Takes what is due in this process; returns the number of hooks. */
static size_t collect(struct state *state, uint64_t mark) {
  struct pending *pending = state->hooks.pending;
  size_t count = 0;
  for (struct block *block = state->hooks.blocks; block != NULL; block = block->next) {
    for (struct hook *hook = block->hooks; hook < block->hooks + BLOCK_HOOKS; hook++) {
      struct due due = due_take(&hook->due, mark);
      if (hook->id == 0 || (due.parents == 0 && !due.child)) continue;
      pending[count++] = (struct pending){.hook = hook, .id = hook->id, .due = due};
    }
  }
  if (count > 1) qsort(pending, count, sizeof *pending, by_id);
  return count;
}

/* False: this has become another process, which has its own callbacks due. */
static bool run_pending(struct state *state, size_t i, uint64_t mark) {
  /* Copied, as a callback that registers hooks may move it.  If a callback unregisters this hook, the entry in the
   * table shows it. */
  const struct pending pending = state->hooks.pending[i];
  enum answer answer = pending.due.prepared ? LATE_AND_PREPARED : LATE;
  for (uint32_t ran = 0; ran < state->hooks.pending[i].due.parents; ran++) {
    run_checked(state, pending.hook, PARENT, answer);
    if (due_mark() != mark) return false;
  }
  if (state->hooks.pending[i].due.child) run_checked(state, pending.hook, CHILD, answer);
  return due_mark() == mark;
}

void waiting_run(struct state *state) {
  struct waiting *waiting = &state->waiting;
  for (;;) {
    uint64_t mark = due_mark();
    /* Callbacks that become due meanwhile are left to the call under way. */
    if (atomic_load(&waiting->mark) != mark || waiting->running == mark) return;
    waiting->running = mark;
    atomic_store(&waiting->mark, 0);
    size_t count = waiting->count = collect(state, mark);
    for (size_t i = 0; i < count && run_pending(state, i, mark); i++) continue;
    if (waiting->running == mark && due_mark() == mark) waiting->running = 0;
  }
}

void waiting_forget(struct state *state, atfork_id id) {
  struct pending key = {.id = id};
  if (!waiting_is_running(state)) return;
  struct pending *pending = bsearch(&key, state->hooks.pending, state->waiting.count, sizeof key, by_id);
  if (pending != NULL) pending->due = (struct due){0};
}
