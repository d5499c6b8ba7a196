/* SPDX-License-Identifier: MIT */
#include "waiting.h"

#include <stdlib.h>

#include "compat.h"
#include "forks.h"
#include "run.h"
#include "state.h"

/*
 * A word: the mark of a process in the upper half (its generation + 1, which does not come to four billion), how many
 * parents are due there, whether a child is, and whether the hook is prepared: the same for all that is due in a
 * process, as only a prepare in C is run where callbacks wait.
 */
enum { MARK_SHIFT = 32, CHILD_IS_DUE = 1, IS_PREPARED = 2, A_PARENT = 4 };

static const uint32_t parents_max = UINT32_MAX / A_PARENT;

static uint64_t this_mark(void) {
  return atfork_generation() + 1;
}

static _Atomic uint64_t *word_of(const struct hook *hook) {
  return &hook->block->waiting[hook - hook->block->hooks];
}

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

/* LuaJIT has one debug hook for all coroutines: the second finds it there.  Elsewhere each has its own. */
static void stand_in_for_user(struct state *state) {
  struct waiting *waiting = &state->waiting;
  if (!waiting->has_stand_ins) {
    for (int i = 0; i < STAND_INS; i++) waiting->stand_ins[i].L = NULL;
    waiting->has_stand_ins = true;
  }
  stand_in_for(&waiting->stand_ins[0], state->main);
  stand_in_for(&waiting->stand_ins[1], state->latest);
}

/* Hands over to the user's own at once. */
static void before_next_instruction(lua_State *L, lua_Debug *event) {
  struct state *state = state_of(L);
  if (state == NULL) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  struct stand_in user = state->waiting.stand_ins[0];
  if (state->waiting.stand_ins[1].L == L) user = state->waiting.stand_ins[1];
  waiting_restore_debug_hooks(state);
  /* A coroutine made meanwhile has inherited ours. */
  if (lua_gethook(L) == before_next_instruction) lua_sethook(L, user.hook, user.mask, user.count);
  inside_note(state);
  waiting_run(state);
  if (user.hook != NULL && event->event != LUA_HOOKCOUNT && (user.mask & (1 << event->event)) != 0) user.hook(L, event);
}

/* ---- Adding ---- */

/* What is added to a word that was another process's begins anew. */
static void add_to(_Atomic uint64_t *word, uint64_t mark, enum phase phase, bool is_prepared) {
  uint64_t before = atomic_load_explicit(word, memory_order_relaxed), after;
  do {
    uint32_t what = before >> MARK_SHIFT == (uint32_t)mark ? (uint32_t)before : 0;
    if (phase == CHILD)
      what |= CHILD_IS_DUE;
    else if (what / A_PARENT < parents_max)
      what += A_PARENT;
    if (is_prepared) what |= IS_PREPARED;
    after = mark << MARK_SHIFT | what;
  } while (!atomic_compare_exchange_weak(word, &before, after));
}

void waiting_add(struct hook *hook, enum phase phase, bool is_prepared) {
  struct state *state = hook_state(hook);
  uint64_t mark = this_mark();
  add_to(word_of(hook), mark, phase, is_prepared);
  /* Pairs with the exchange in collect_due(): whoever sees the mark sees the word. */
  if (atomic_load(&state->waiting.mark) != mark) atomic_store(&state->waiting.mark, mark);
  /* When another thread may be inside, in a parent, it looks when it calls us next.  In a child there is none. */
  if (phase == CHILD || inside_is_certain(state, forks_alone(phase))) stand_in_for_user(state);
}

/* ---- Running ---- */

bool waiting_is_running(const struct state *state) {
  return state->waiting.running == this_mark();
}

static int by_id(const void *a, const void *b) {
  atfork_id x = ((const struct due *)a)->id, y = ((const struct due *)b)->id;
  return x < y ? -1 : x > y;
}

/* Takes what is due in this process; how many hooks. */
static size_t collect_due(struct state *state, uint64_t mark) {
  struct due *due = state->hooks.due;
  size_t count = 0;
  for (struct block *block = state->hooks.blocks; block != NULL; block = block->next) {
    for (int i = 0; i < block->count && block->first + i <= state->hooks.used; i++) {
      if (atomic_load_explicit(&block->waiting[i], memory_order_relaxed) == 0) continue;
      uint64_t word = atomic_exchange(&block->waiting[i], 0);
      struct hook *hook = &block->hooks[i];
      if (word >> MARK_SHIFT != (uint32_t)mark || hook->id == 0) continue;
      due[count++] = (struct due){.hook = hook, .id = hook->id, .what = (uint32_t)word};
    }
  }
  qsort(due, count, sizeof *due, by_id);
  return count;
}

/* False when this has become another process, whose own are due now.  A callback that registers hooks may move `due`.
 */
static bool run_due(struct state *state, size_t i, uint64_t mark) {
  const struct hooks *hooks = &state->hooks;
  bool is_prepared = (hooks->due[i].what & IS_PREPARED) != 0;
  for (uint32_t ran = 0; ran < hooks->due[i].what / A_PARENT; ran++) {
    run_late(state, hooks->due[i].hook, PARENT, is_prepared);
    if (this_mark() != mark) return false;
  }
  if ((hooks->due[i].what & CHILD_IS_DUE) != 0) run_late(state, hooks->due[i].hook, CHILD, is_prepared);
  return this_mark() == mark;
}

void waiting_run(struct state *state) {
  struct waiting *waiting = &state->waiting;
  for (;;) {
    uint64_t mark = this_mark();
    /* What comes up meanwhile is for the call that is under way. */
    if (atomic_load(&waiting->mark) != mark || waiting->running == mark) return;
    waiting->running = mark;
    atomic_store(&waiting->mark, 0);
    size_t count = waiting->due_count = collect_due(state, mark);
    for (size_t i = 0; i < count && run_due(state, i, mark); i++) continue;
    if (waiting->running == mark && this_mark() == mark) waiting->running = 0;
  }
}

void waiting_forget(struct state *state, atfork_id id) {
  struct due key = {.id = id};
  if (!waiting_is_running(state)) return;
  struct due *due = bsearch(&key, state->hooks.due, state->waiting.due_count, sizeof key, by_id);
  if (due != NULL) due->what = 0;
}
