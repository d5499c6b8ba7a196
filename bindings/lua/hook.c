/* SPDX-License-Identifier: MIT */
#include "hook.h"

#include <stdlib.h>
#include <string.h>

static bool reserve_pending(struct hooks *hooks, int slots) {
  if (slots <= hooks->room) return true;
  int room = 2 * slots;
  struct pending *pending = realloc(hooks->pending, (size_t)room * sizeof *pending);
  if (pending == NULL) return false;
  hooks->pending = pending;
  hooks->room = room;
  return true;
}

static bool add_block(struct hooks *hooks, struct state *state) {
  if (!reserve_pending(hooks, hooks->slots + BLOCK_HOOKS)) return false;
  struct block *block = aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);
  if (block == NULL) return false;
  memset(block, 0, BLOCK_SIZE);
  block->state = state;
  block->next = hooks->blocks;
  block->first = hooks->slots + 1;
  hooks->blocks = block;
  hooks->slots += BLOCK_HOOKS;
  for (int i = BLOCK_HOOKS - 1; i >= 0; i--) hook_free(hooks, &block->hooks[i]);
  return true;
}

struct hook *hook_new(struct hooks *hooks, struct state *state) {
  if (hooks->free == NULL && !add_block(hooks, state)) return NULL;
  struct hook *hook = hooks->free;
  hooks->free = hook->next;
  return hook;
}

void hook_free(struct hooks *hooks, struct hook *hook) {
  free(hook->functions);
  *hook = (struct hook){.next = hooks->free};
  hooks->free = hook;
}

bool hook_set_c_function(struct hook *hook, enum phase phase, struct c_function function) {
  if (hook->functions == NULL) hook->functions = calloc(PHASES, sizeof *hook->functions);
  if (hook->functions == NULL) return false;
  hook->functions[phase] = function;
  return true;
}

/* ---- Its end ---- */

void hook_ended(struct hooks *hooks, struct hook *hook) {
  hook->next = atomic_load(&hooks->ended);
  while (!atomic_compare_exchange_weak(&hooks->ended, &hook->next, hook)) continue;
}

struct hook *hook_take_ended(struct hooks *hooks) {
  return atomic_exchange(&hooks->ended, NULL);
}

void hook_unregister_all(const struct hooks *hooks) {
  for (struct block *block = hooks->blocks; block != NULL; block = block->next)
    for (int i = 0; i < BLOCK_HOOKS; i++)
      if (block->hooks[i].id != 0) atfork_unregister(block->hooks[i].id);
}

void hook_free_all(struct hooks *hooks) {
  while (hooks->blocks != NULL) {
    struct block *block = hooks->blocks;
    hooks->blocks = block->next;
    for (int i = 0; i < BLOCK_HOOKS; i++) free(block->hooks[i].functions);
    free(block);
  }
  free(hooks->pending);
}
