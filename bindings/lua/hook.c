/* SPDX-License-Identifier: MIT */
#include "hook.h"

#include <stdlib.h>

#include "compat.h"

enum { FIRST_COUNT = 16 };

static struct hooks *hooks_of(const struct hook *hook) {
  return hook->block->hooks_of_state;
}

static int new_table(lua_State *L) {
  lua_newtable(L);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void hook_open(lua_State *L, struct hooks *hooks) {
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

/* Makes room for that many slots. */
static bool reserve_late(struct hooks *hooks, int slots) {
  struct late *late = realloc(hooks->late, (size_t)slots * sizeof *late);
  if (late != NULL) hooks->late = late;
  return late != NULL;
}

static bool add_block(struct hooks *hooks, struct state *state) {
  int count = hooks->slots == 0 ? FIRST_COUNT : hooks->slots;
  size_t size = (size_t)count;
  struct block *block = calloc(1, sizeof *block + size * sizeof block->hooks[0]);
  if (block == NULL) return false;
  block->waiting = calloc(size, sizeof block->waiting[0]);
  block->prepared = calloc(size, sizeof block->prepared[0]);
  if (block->waiting == NULL || block->prepared == NULL || !reserve_late(hooks, hooks->slots + count)) {
    free_block(block);
    return false;
  }
  block->state = state;
  block->hooks_of_state = hooks;
  block->next = hooks->blocks;
  block->first = hooks->slots + 1;
  block->count = count;
  hooks->blocks = block;
  hooks->slots += count;
  return true;
}

struct hook *hook_new(lua_State *L, struct hooks *hooks, struct state *state) {
  struct hook *hook = hooks->free;
  if (hook != NULL) {
    hooks->free = hook->next;
    return hook;
  }
  if (hooks->used == hooks->slots && !add_block(hooks, state)) luaL_error(L, "not enough memory");
  struct block *block = hooks->blocks;
  hook = &block->hooks[hooks->used++ + 1 - block->first];
  hook->block = block;
  return hook;
}

/* ---- What a hook holds ---- */

/* table[slot] = the value at `index` of the stack */
static void put(lua_State *L, int table, const struct hook *hook, int index) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, table);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, hook_slot(hook));
  lua_pop(L, 1);
}

void hook_set_function(lua_State *L, struct hook *hook, enum phase phase, int index) {
  put(L, hooks_of(hook)->functions[phase], hook, index);
}

void hook_set_name(lua_State *L, struct hook *hook, const char *name) {
  lua_pushstring(L, name);
  put(L, hooks_of(hook)->names, hook, lua_gettop(L));
  lua_pop(L, 1);
}

void hook_set_symbol(lua_State *L, struct hook *hook, enum phase phase, struct c_function symbol) {
  if (hook->symbols == NULL) hook->symbols = calloc(1, sizeof *hook->symbols);
  if (hook->symbols == NULL) luaL_error(L, "not enough memory");
  hook->symbols->of[phase] = symbol;
}

void hook_push_name(lua_State *L, const struct hook *hook) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, hooks_of(hook)->names);
  lua_rawgeti(L, -1, hook_slot(hook));
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushliteral(L, "");
}

/* ---- Keys ---- */

static struct hook *hook_in_slot(const struct hooks *hooks, int slot) {
  struct block *block = hooks->blocks;
  while (slot < block->first) block = block->next;
  return &block->hooks[slot - block->first];
}

/* slots[key], with the key on top, which stays; 0 if there is none. */
static int slot_of_key(lua_State *L, const struct hooks *hooks) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, hooks->slots_of_keys);
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  int slot = (int)lua_tointeger(L, -1);
  lua_pop(L, 2);
  return slot;
}

/* slots[key] = slot, or nil for 0; takes the key on top. */
static void set_slot_of_key(lua_State *L, const struct hooks *hooks, int slot) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, hooks->slots_of_keys);
  lua_insert(L, -2);
  if (slot != 0)
    lua_pushinteger(L, slot);
  else
    lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

struct hook *hook_set_key(lua_State *L, struct hook *hook, int index) {
  struct hooks *hooks = hooks_of(hook);
  if (hooks->slots_of_keys == 0) hooks->slots_of_keys = new_table(L);
  if (hooks->keys == 0) hooks->keys = new_table(L);
  lua_pushvalue(L, index);
  int before = slot_of_key(L, hooks);
  put(L, hooks->keys, hook, index);
  set_slot_of_key(L, hooks, hook_slot(hook));
  return before == 0 ? NULL : hook_in_slot(hooks, before);
}

void hook_push_key(lua_State *L, const struct hook *hook) {
  const struct hooks *hooks = hooks_of(hook);
  if (hooks->keys == 0) {
    lua_pushnil(L);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, hooks->keys);
  lua_rawgeti(L, -1, hook_slot(hook));
  lua_remove(L, -2);
}

/* The key may be another hook's by now. */
static void free_key(lua_State *L, const struct hook *hook) {
  const struct hooks *hooks = hooks_of(hook);
  hook_push_key(L, hook);
  if (!lua_isnil(L, -1) && slot_of_key(L, hooks) == hook_slot(hook))
    set_slot_of_key(L, hooks, 0);
  else
    lua_pop(L, 1);
}

/* ---- Letting go ---- */

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
  struct hooks *hooks = hooks_of(hook);
  for (enum phase phase = PREPARE; phase < PHASES; phase++) take(L, hooks->functions[phase], hook);
  take(L, hooks->names, hook);
  free_key(L, hook);
  if (hooks->keys != 0) take(L, hooks->keys, hook);
  free(hook->symbols);
  hook->symbols = NULL;
  *hook_prepared(hook) = 0;
  hook->id = 0;
  hook->next = hooks->free;
  hooks->free = hook;
}

/* ---- Its end ---- */

void hook_ended(struct hook *hook) {
  struct hooks *hooks = hooks_of(hook);
  hook->next = atomic_load(&hooks->ended);
  while (!atomic_compare_exchange_weak(&hooks->ended, &hook->next, hook)) continue;
}

void hook_free_ended(lua_State *L, struct hooks *hooks) {
  if (atomic_load_explicit(&hooks->ended, memory_order_relaxed) == NULL) return;
  struct hook *hook = atomic_exchange(&hooks->ended, NULL);
  while (hook != NULL) {
    struct hook *next = hook->next;
    hook_free(L, hook);
    hook = next;
  }
}

void hook_unregister_all(const struct hooks *hooks) {
  for (struct block *block = hooks->blocks; block != NULL; block = block->next)
    for (int i = 0; i < block->count; i++)
      if (block->hooks[i].id != 0) atfork_unregister(block->hooks[i].id);
}

void hook_free_all(struct hooks *hooks) {
  while (hooks->blocks != NULL) {
    struct block *block = hooks->blocks;
    hooks->blocks = block->next;
    free_block(block);
  }
  free(hooks->late);
}
