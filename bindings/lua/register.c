/* SPDX-License-Identifier: MIT */
#include "register.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "dispatch.h"
#include "forks.h"
#include "number.h"
#include "state.h"

/* ---- What a script holds ---- */

struct handle {
  atfork_id id;
  struct hook *hook; /* valid only while the state is open; if the ids differ, the slot has another hook */
  bool has_definition;
};

/* Its user value is the definition, a table, as Lua 5.1 allows only tables. */
static struct handle *push_handle(lua_State *L, int definition, bool has_definition) {
  struct handle *handle = lua_newuserdatauv(L, sizeof *handle, has_definition);
  *handle = (struct handle){.has_definition = has_definition};
  lua_pushvalue(L, lua_upvalueindex(HOOK_TYPE));
  lua_setmetatable(L, -2);
  if (!has_definition) return handle;
  lua_pushvalue(L, definition);
  lua_setuservalue(L, -2);
  return handle;
}

/* The handle in this argument; NULL: it is none. */
static struct handle *handle_in(lua_State *L, int argument) {
  struct handle *handle = lua_touserdata(L, argument);
  if (handle == NULL || !lua_getmetatable(L, argument)) return NULL;
  bool is_one = lua_rawequal(L, -1, lua_upvalueindex(HOOK_TYPE));
  lua_pop(L, 1);
  return is_one ? handle : NULL;
}

static struct handle *check_handle(lua_State *L) {
  struct handle *handle = handle_in(L, 1);
  if (handle == NULL) luaL_error(L, "a hook expected, got %s", luaL_typename(L, 1));
  assert(handle != NULL); /* an error does not return */
  return handle;
}

int register_id(lua_State *L) {
  char digits[24];
  atfork_id id = check_handle(L)->id;
  if (!lua_toboolean(L, 2)) {
    number_push_exactly(L, id);
    return 1;
  }
  lua_pushlstring(L, digits, (size_t)snprintf(digits, sizeof digits, "%llx", (unsigned long long)id));
  return 1;
}

/* An id begins with it (doc/design.md). */
int register_priority(lua_State *L) {
  enum { SEQUENCE_BITS = 48 };
  lua_pushinteger(L, (lua_Integer)(check_handle(L)->id >> SEQUENCE_BITS) + ATFORK_PRIORITY_MIN);
  return 1;
}

int register_definition(lua_State *L) {
  if (!check_handle(L)->has_definition) return 0;
  lua_getuservalue(L, 1);
  return 1;
}

/* ---- Letting go of hooks ---- */

/* Tables without an entry for it are not written: writing nil might need memory. */
static void clear_functions(lua_State *L, const struct hook *hook) {
  for (int phase = PREPARE; phase < PHASES; phase++) {
    if (!hook->is_in[phase]) continue;
    lua_pushnil(L);
    lua_rawseti(L, lua_upvalueindex(FUNCTIONS + phase), hook_slot(hook));
  }
}

static void clear(lua_State *L, struct state *state, struct hook *hook) {
  clear_functions(L, hook);
  lua_pushnil(L);
  lua_rawseti(L, lua_upvalueindex(HOOKS), hook_slot(hook));
  hook_free(&state->hooks, hook);
}

/* Frees a hook that was being made when Lua had no memory: Lua's error did not return to us. */
static void clear_unfinished(lua_State *L, struct state *state) {
  struct hook *hook = state->hooks.unfinished;
  if (hook == NULL) return;
  clear_functions(L, hook);
  hook_free(&state->hooks, hook);
  state->hooks.unfinished = NULL;
}

/* Frees ended hooks, except those that are about to run. */
static void clear_ended(lua_State *L, struct state *state) {
  if (!hook_any_ended(&state->hooks) || waiting_is_running(state)) return;
  struct hook *hook = hook_take_ended(&state->hooks);
  while (hook != NULL) {
    struct hook *next = hook->next;
    clear(L, state, hook);
    hook = next;
  }
}

/* For other hooks, the core calls destroy. */
static void end_if_direct(struct state *state, struct hook *hook) {
  if (hook->is_direct) hook_ended(&state->hooks, hook);
}

/* Needs no memory from Lua. */
static bool take_back(lua_State *L, struct state *state, const struct handle *handle) {
  if (atfork_unregister(handle->id) != 0) return false;
  if (state == NULL) return true;
  waiting_forget(state, handle->id);
  if (handle->hook->id == handle->id) end_if_direct(state, handle->hook);
  clear_ended(L, state);
  return true;
}

/* Removes the entry of its key, unless another hook has the key. */
static void forget_key(lua_State *L, int keys, int hook) {
  lua_getuservalue(L, hook);
  lua_getfield(L, -1, "key");
  lua_pushvalue(L, -1);
  lua_rawget(L, keys);
  if (lua_rawequal(L, -1, hook)) {
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, keys);
  }
  lua_pop(L, 3);
}

/* No code of Lua runs between the end of the hook and that of its key's entry. */
int register_unregister(lua_State *L) {
  enum { KEYS = 1, HOOK };
  const struct handle *handle = handle_in(L, HOOK);
  if (handle == NULL) {
    const char *type = luaL_typename(L, HOOK);
    lua_pushnil(L);
    lua_pushstring(L, type);
    return 2;
  }
  struct state *state = state_enter_quickly(L);
  bool taken = take_back(L, state, handle);
  if (handle->has_definition) forget_key(L, KEYS, HOOK);
  lua_pushboolean(L, taken);
  return 1;
}

/* ---- Making them ---- */

/* The indexes of the arguments; the last ones may be missing. */
enum {
  CHILD_AT = 1,
  PARENT_AT,
  PREPARE_AT,
  NAME_AT,
  PRIORITY_AT,
  DEFINITION_AT,
  KEYS_AT,
  KEY_AT,
  HANDLE_AT,
  BEFORE_AT
};

/* False: no memory for a C function.  If Lua has no memory, it raises its error. */
static bool fill(lua_State *L, struct hook *hook, int given) {
  int slot = hook_slot(hook);
  for (int at = CHILD_AT; at <= PREPARE_AT && at <= given; at++) {
    if (lua_isnil(L, at)) continue;
    enum phase phase = (enum phase)(CHILD - (at - CHILD_AT));
    const struct c_function *symbol = lua_touserdata(L, at);
    if (symbol != NULL && !hook_set_c_function(hook, phase, *symbol)) return false;
    lua_pushvalue(L, at);
    lua_rawseti(L, lua_upvalueindex(FUNCTIONS + (int)phase), slot);
    hook->is_in[phase] = true;
  }
  lua_pushvalue(L, HANDLE_AT);
  lua_rawseti(L, lua_upvalueindex(HOOKS), slot);
  return true;
}

/* Stores the value at this index under the hook's key. */
static void set_keyed(lua_State *L, int index) {
  lua_pushvalue(L, KEY_AT);
  lua_pushvalue(L, index);
  lua_rawset(L, KEYS_AT);
}

/* Stores the hook under its key, and pushes the former hook of this key; nil: there was none, or there is no key. */
static void set_key(lua_State *L) {
  lua_pushvalue(L, KEY_AT);
  if (lua_isnil(L, KEY_AT)) return;
  lua_rawget(L, KEYS_AT);
  set_keyed(L, HANDLE_AT);
}

/* Its id, or 0 and errno. */
static atfork_id enrol(lua_State *L, struct state *state, struct hook *hook, int given) {
  struct atfork_hook core = dispatch_hook(hook);
  if (given >= NAME_AT) core.name = lua_tostring(L, NAME_AT);
  if (given >= PRIORITY_AT) core.priority = (int)lua_tointeger(L, PRIORITY_AT);
  if (core.destroy != NULL) atomic_fetch_add(&state->owners, 1);
  hook->id = atfork_register(&core);
  if (hook->id == 0) {
    if (core.destroy != NULL) state_disown(state);
  } else if (core.priority == ATFORK_PRIORITY_MAX && !forks_watch_before(hook->id)) {
    atfork_unregister(hook->id);
    end_if_direct(state, hook);
    errno = ENOMEM;
    return 0;
  }
  return hook->id;
}

/* All memory of Lua is allocated before the hook is registered in the core, so an error leaves no hook that no script
 * can unregister.  The former hook of the same key is unregistered last, so it stays if there is no memory for the new
 * one. */
int register_add(lua_State *L) {
  struct state *state = state_enter_quickly(L);
  if (state == NULL) return luaL_error(L, "this Lua state is being closed");
  clear_ended(L, state);
  clear_unfinished(L, state);
  int given = lua_gettop(L);
  lua_settop(L, KEY_AT);
  struct handle *handle = push_handle(L, DEFINITION_AT, given >= DEFINITION_AT && !lua_isnil(L, DEFINITION_AT));
  struct hook *hook = hook_new(&state->hooks, state);
  if (hook == NULL) return luaL_error(L, "not enough memory");
  state->hooks.unfinished = hook;
  bool is_filled = fill(L, hook, given);
  if (is_filled) set_key(L);
  state->hooks.unfinished = NULL;
  errno = ENOMEM;
  if (!is_filled || enrol(L, state, hook, given) == 0) {
    int error = errno;
    if (hook->id == 0) clear(L, state, hook);
    if (is_filled && !lua_isnil(L, KEY_AT)) set_keyed(L, BEFORE_AT);
    return luaL_error(L, "cannot register: %s", strerror(error));
  }
  handle->hook = hook;
  handle->id = hook->id;
  const struct handle *before = lua_touserdata(L, BEFORE_AT);
  if (before != NULL && !lua_isnil(L, KEY_AT)) take_back(L, state, before);
  lua_settop(L, HANDLE_AT);
  return 1;
}

int register_after_fork(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isfunction(L, 1)) return register_add(L);
  lua_pushvalue(L, lua_upvalueindex(OTHERWISE));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}
