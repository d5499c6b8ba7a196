/* SPDX-License-Identifier: MIT */
#include "hook.h"

#include <stdlib.h>

#include "compat.h"
#include "state.h"

enum { FIRST_COUNT = 16 };

const char *const hook_phase_names[PHASES] = {"prepare", "parent", "child"};

static int new_table(lua_State *L) {
  lua_newtable(L);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void hook_open(lua_State *L, struct state *state) {
  struct hooks *hooks = &state->hooks;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) hooks->functions[phase] = new_table(L);
  hooks->names = new_table(L);
}

/* ---- Blocks ---- */

static void free_block(struct block *block) {
  for (int i = 0; i < block->count; i++) free(block->hooks[i].symbols);
  free(block->waiting);
  free(block->prepared);
  free(block);
}

static bool add_block(struct state *state) {
  struct hooks *hooks = &state->hooks;
  int count = hooks->slots == 0 ? FIRST_COUNT : hooks->slots;
  size_t size = (size_t)count;
  struct block *block = calloc(1, sizeof *block + size * sizeof block->hooks[0]);
  if (block == NULL) return false;
  block->waiting = calloc(size, sizeof block->waiting[0]);
  block->prepared = calloc(size, sizeof block->prepared[0]);
  if (block->waiting == NULL || block->prepared == NULL || !waiting_reserve(state, hooks->slots + count)) {
    free_block(block);
    return false;
  }
  block->state = state;
  block->next = hooks->blocks;
  block->first = hooks->slots + 1;
  block->count = count;
  hooks->blocks = block;
  hooks->slots += count;
  return true;
}

struct hook *hook_new(lua_State *L, struct state *state) {
  struct hooks *hooks = &state->hooks;
  hook_free_ended(L, state);
  struct hook *hook = hooks->free;
  if (hook != NULL) {
    hooks->free = hook->next;
    return hook;
  }
  if (hooks->used == hooks->slots && !add_block(state)) luaL_error(L, "not enough memory");
  struct block *block = hooks->blocks;
  hook = &block->hooks[hooks->used++ + 1 - block->first];
  hook->block = block;
  return hook;
}

/* ---- What a hook holds ---- */

/* table[slot] = the value on top */
static void put(lua_State *L, int table, const struct hook *hook) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, table);
  lua_insert(L, -2);
  lua_rawseti(L, -2, hook_slot(hook));
  lua_pop(L, 1);
}

void hook_set_function(lua_State *L, struct hook *hook, enum phase phase) {
  put(L, hook_state(hook)->hooks.functions[phase], hook);
}

void hook_set_name(lua_State *L, struct hook *hook) {
  if (lua_rawlen(L, -1) > 0)
    put(L, hook_state(hook)->hooks.names, hook);
  else
    lua_pop(L, 1);
}

void hook_set_symbol(lua_State *L, struct hook *hook, enum phase phase, callback symbol) {
  if (hook->symbols == NULL) hook->symbols = calloc(1, sizeof *hook->symbols);
  if (hook->symbols == NULL) luaL_error(L, "not enough memory");
  hook->symbols->of[phase] = symbol;
}

void hook_push_name(lua_State *L, const struct hook *hook) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, hook_state(hook)->hooks.names);
  lua_rawgeti(L, -1, hook_slot(hook));
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushliteral(L, "");
}

/* table[slot] = nil, without making room for that. */
static void take(lua_State *L, int table, const struct hook *hook) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, table);
  lua_rawgeti(L, -1, hook_slot(hook));
  if (!lua_isnil(L, -1)) {
    lua_pushnil(L);
    lua_rawseti(L, -3, hook_slot(hook));
  }
  lua_pop(L, 2);
}

void hook_free(lua_State *L, struct hook *hook) {
  struct hooks *hooks = &hook_state(hook)->hooks;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) take(L, hooks->functions[phase], hook);
  take(L, hooks->names, hook);
  free(hook->symbols);
  hook->symbols = NULL;
  *hook_prepared(hook) = 0;
  hook->id = 0;
  hook->next = hooks->free;
  hooks->free = hook;
}

/* ---- Its end ---- */

/* From the core, in any thread and perhaps inside fork(): Lua's part waits for the state's next call. */
void hook_ended(void *data) {
  struct hook *hook = data;
  struct state *state = hook_state(hook);
  hook->next = atomic_load(&state->hooks.ended);
  while (!atomic_compare_exchange_weak(&state->hooks.ended, &hook->next, hook)) continue;
  state_disown(state);
}

void hook_free_ended(lua_State *L, struct state *state) {
  if (atomic_load_explicit(&state->hooks.ended, memory_order_relaxed) == NULL) return;
  if (waiting_is_running(state)) return; /* they may be among those that are due */
  struct hook *hook = atomic_exchange(&state->hooks.ended, NULL);
  while (hook != NULL) {
    struct hook *next = hook->next;
    hook_free(L, hook);
    hook = next;
  }
}

void hook_unregister_all(struct state *state) {
  for (struct block *block = state->hooks.blocks; block != NULL; block = block->next)
    for (int i = 0; i < block->count; i++)
      if (block->hooks[i].id != 0) atfork_unregister(block->hooks[i].id);
}

void hook_free_all(struct state *state) {
  while (state->hooks.blocks != NULL) {
    struct block *block = state->hooks.blocks;
    state->hooks.blocks = block->next;
    free_block(block);
  }
  waiting_free(state);
}
