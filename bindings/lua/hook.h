/* SPDX-License-Identifier: MIT */
/*
 * The hooks that a Lua state has registered: where they lie, from when they are made until the core has let go of them.
 *
 * They lie in blocks of a page, which do not move, as the core has pointers to them.  Such a pointer alone says which
 * state and which slot it belongs to, so a child need not read the hook.  The slot is the index of the hook's functions
 * in Lua's tables.
 */
#ifndef ATFORK_LUA_HOOK_H
#define ATFORK_LUA_HOOK_H

#include <atfork.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "due.h"
#include "phase.h"

struct state;

/* A C function that a script names as a callback. */
struct c_function {
  void (*call)(void *data); /* NULL: none */
  void *data;
};

struct hook {
  atfork_id id;                 /* 0: free, or not registered */
  due_word due;                 /* waiting.h */
  uint64_t prepared;            /* run.h: a bit for each fork under way */
  struct c_function *functions; /* one for each phase; NULL if all are Lua's */
  struct hook *next;            /* in the list of free hooks, or of those that the core has destroyed */
  bool is_in[PHASES];           /* which tables have an entry for it */
  bool is_direct;               /* dispatch.h: the core does not point to it, so it is freed at once */
};

struct block {
  struct state *state;
  struct block *next;
  int first; /* the slot of the first */
  struct hook hooks[];
};

enum { BLOCK_SIZE = 4096, BLOCK_HOOKS = (BLOCK_SIZE - sizeof(struct block)) / sizeof(struct hook) };

/* A hook that waiting.h is about to run. */
struct pending {
  struct hook *hook;
  atfork_id id;
  struct due due;
};

/* The part of a state that belongs to this file. */
struct hooks {
  struct block *blocks;       /* the latest first */
  struct hook *free;          /* to be used again */
  struct hook *_Atomic ended; /* the core has destroyed them, Lua still has entries for them */
  struct hook *unfinished;    /* it is being made, and not yet registered */
  struct pending *pending;    /* space for all slots, so that running them needs no memory */
  int room;                   /* for how many */
  int slots;                  /* in all blocks */
};

static inline const struct block *hook_block(const struct hook *hook) {
  return (const struct block *)(const void *)((const char *)hook - (uintptr_t)hook % BLOCK_SIZE);
}
static inline struct state *hook_state(const struct hook *hook) {
  return hook_block(hook)->state;
}
static inline int hook_slot(const struct hook *hook) {
  const struct block *block = hook_block(hook);
  return block->first + (int)(hook - block->hooks);
}

static inline bool hook_is_in_c(const struct hook *hook, enum phase phase) {
  return hook->functions != NULL && hook->functions[phase].call != NULL;
}

/* An empty hook; NULL: no memory.  Free it by hook_free(). */
struct hook *hook_new(struct hooks *hooks, struct state *state);
void hook_free(struct hooks *hooks, struct hook *hook);

/* Sets a C function; false: no memory. */
bool hook_set_c_function(struct hook *hook, enum phase phase, struct c_function function);

/* The core has destroyed it, in any thread and perhaps inside fork().  Lua's entries stay until the list is taken. */
void hook_ended(struct hooks *hooks, struct hook *hook);
struct hook *hook_take_ended(struct hooks *hooks);
static inline bool hook_any_ended(const struct hooks *hooks) {
  return atomic_load_explicit(&hooks->ended, memory_order_relaxed) != NULL;
}

/* The first when the state is closed; the second when the core has destroyed all hooks. */
void hook_unregister_all(const struct hooks *hooks);
void hook_free_all(struct hooks *hooks);

#endif
