/* SPDX-License-Identifier: MIT */
/*
 * Callbacks that wait until Lua may be entered.  They run before the state's next instruction, by a debug hook of ours
 * in place of the user's, or in the state's next call of this module.
 */
#ifndef ATFORK_LUA_WAITING_H
#define ATFORK_LUA_WAITING_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hook.h"

/* A coroutine that has our debug hook, and the user's debug hook. */
struct stand_in {
  lua_State *L;
  lua_Hook hook;
  int mask;
  int count;
};

enum { STAND_INS = 2 }; /* the main coroutine, and the one that called us last */

/* The part of a state that belongs to this file. */
struct waiting {
  _Atomic uint64_t mark; /* of the process in which a callback is due; 0: none is */
  uint64_t running;      /* of the process in which waiting_run() is under way; or 0 */
  size_t count;          /* of hook.h's `pending` */
  bool has_stand_ins;
  struct stand_in stand_ins[STAND_INS];
};

/* Makes a callback run later.  May be called inside fork(), in any thread; allocates nothing. */
void waiting_add(struct hook *hook, enum phase phase, bool is_prepared);

/* Runs what is due, in the order of ids.  Call it only where Lua may be entered. */
void waiting_run(struct state *state);
bool waiting_is_running(const struct state *state);

/* Removes an unregistered hook from those that waiting_run() is about to run. */
void waiting_forget(struct state *state, atfork_id id);

/* Restores the user's debug hooks. */
void waiting_restore_debug_hooks(struct state *state);

#endif
