/* SPDX-License-Identifier: MIT */
/*
 * The hooks that a Lua state has registered: where they lie, from when they are made until the core has let go of them.
 *
 * They lie in blocks, each twice as large as the one before, that do not move: the core holds pointers to them.  A hook
 * has a slot, which is where its functions are in tables of Lua's.  What a fork must write for a hook lies in an array
 * aside, as a child copies each page that it writes.
 */
#ifndef ATFORK_LUA_HOOK_H
#define ATFORK_LUA_HOOK_H

#include <atfork.h>
#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "due.h"
#include "forks.h"

struct state;

/* A C function that a script names as a callback. */
struct c_function {
  void (*call)(void *data); /* NULL: none */
  void *data;
  bool needs_object; /* the data lie in an object of Lua's */
};

/* Those of a hook that has some. */
struct symbols {
  struct c_function of[PHASES];
  bool are_all; /* the core calls them directly, and keeps nothing of ours */
};

struct hook {
  struct block *block;
  struct symbols *symbols; /* NULL if all are Lua functions */
  struct hook *next;       /* in the list of free ones, or of those that the core has let go of */
  atfork_id id;            /* 0: free, or not registered */
};

struct block {
  struct state *state;
  struct hooks *hooks_of_state;
  struct block *next;
  int first; /* the slot of the first */
  int count;
  due_word *waiting;  /* for waiting.h: one for each hook */
  uint64_t *prepared; /* run.h: the same */
  struct hook hooks[];
};

/* What waiting.h runs. */
struct late {
  struct hook *hook;
  atfork_id id;
  struct due due;
};

/* The part of a state that belongs to this file. */
struct hooks {
  struct block *blocks;       /* the latest first */
  struct hook *free;          /* to be used again */
  struct hook *_Atomic ended; /* the core has let go of them, Lua has not */
  struct late *late;          /* room for one of each slot, so that running them needs no memory */
  int slots;                  /* in all blocks */
  int used;                   /* those in use at some time: the first ones */
  int functions[PHASES];      /* references to tables: a function for each slot */
  int names;                  /* the same, of names that are not empty */
  int keys;                   /* the same, of keys; 0 before there is one */
  int slots_of_keys;          /* and the reverse */
};

static inline struct state *hook_state(const struct hook *hook) {
  return hook->block->state;
}
static inline uint64_t *hook_prepared(const struct hook *hook) {
  return &hook->block->prepared[hook - hook->block->hooks];
}
static inline int hook_slot(const struct hook *hook) {
  return hook->block->first + (int)(hook - hook->block->hooks);
}

/* Makes the tables. */
void hook_open(lua_State *L, struct hooks *hooks);

/* One of this state with nothing in it; raises an error when there is no memory.  Given back by hook_free(). */
struct hook *hook_new(lua_State *L, struct hooks *hooks, struct state *state);

/* The value at `index` of the stack is the phase's function, or what a C function needs. */
void hook_set_function(lua_State *L, struct hook *hook, enum phase phase, int index);
void hook_set_name(lua_State *L, struct hook *hook, const char *name);
void hook_set_symbol(lua_State *L, struct hook *hook, enum phase phase, struct c_function symbol);

/* Gives it the key at `index`; the hook that had that before, or NULL. */
struct hook *hook_set_key(lua_State *L, struct hook *hook, int index);

/* Pushes the name; the key, or nil. */
void hook_push_name(lua_State *L, const struct hook *hook);
void hook_push_key(lua_State *L, const struct hook *hook);

/* Lets go of what it holds. */
void hook_free(lua_State *L, struct hook *hook);

/* Once the core has let go of it, in any thread and perhaps inside fork(): Lua's part waits for hook_free_ended(). */
void hook_ended(struct hook *hook);
void hook_free_ended(lua_State *L, struct hooks *hooks);

/* When the state is closed; and when the core has let go of all. */
void hook_unregister_all(const struct hooks *hooks);
void hook_free_all(struct hooks *hooks);

#endif
