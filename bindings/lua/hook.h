/* SPDX-License-Identifier: MIT */
/*
 * The hooks that a Lua state has registered: where they lie, from when they are made until the core has let go of them.
 *
 * They lie in blocks of a page, that do not move: the core holds pointers to them, and such a pointer alone says which
 * state and which slot it is, so that a child need not read what lies there.  A slot is where Lua's part is in tables.
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
  struct hook *next;            /* in the list of free ones, or of those that the core has let go of */
  bool is_in[PHASES];           /* which tables have something for it */
  bool is_direct;               /* dispatch.h: the core knows nothing of it, and so lets go of it at once */
};

struct block {
  struct state *state;
  struct block *next;
  int first; /* the slot of the first */
  struct hook hooks[];
};

enum { BLOCK_SIZE = 4096, BLOCK_HOOKS = (BLOCK_SIZE - sizeof(struct block)) / sizeof(struct hook) };

/* What waiting.h is about to run. */
struct pending {
  struct hook *hook;
  atfork_id id;
  struct due due;
};

/* The part of a state that belongs to this file. */
struct hooks {
  struct block *blocks;       /* the latest first */
  struct hook *free;          /* to be used again */
  struct hook *_Atomic ended; /* the core has let go of them, Lua has not */
  struct hook *unfinished;    /* it is being made: neither the core nor a script has it */
  struct pending *pending;    /* room for one of each slot, so that running them needs no memory */
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

/* One with nothing in it; NULL when there is no memory.  Given back by hook_free(). */
struct hook *hook_new(struct hooks *hooks, struct state *state);
void hook_free(struct hooks *hooks, struct hook *hook);

/* Gives it a C function; false when there is no memory. */
bool hook_set_c_function(struct hook *hook, enum phase phase, struct c_function function);

/* The core has let go of it, in any thread and perhaps inside fork(): Lua's part waits until the list is taken. */
void hook_ended(struct hooks *hooks, struct hook *hook);
struct hook *hook_take_ended(struct hooks *hooks);
static inline bool hook_any_ended(const struct hooks *hooks) {
  return atomic_load_explicit(&hooks->ended, memory_order_relaxed) != NULL;
}

/* When the state is closed; and when the core has let go of all. */
void hook_unregister_all(const struct hooks *hooks);
void hook_free_all(struct hooks *hooks);

#endif
