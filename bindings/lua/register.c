/* SPDX-License-Identifier: MIT */
#include "register.h"

#include <errno.h>
#include <string.h>

#include "compat.h"
#include "dispatch.h"
#include "enter.h"
#include "forks.h"
#include "handle.h"
#include "symbol.h"
#include "table.h"
#include "waiting.h"

/* What a script asks for, once it is found to be right.  The stack holds, from `first` on, what each phase has: a
 * function, what stands for a C function, or nil. */
struct request {
  const char *name;
  int priority;
  int key; /* its place on the stack; 0: none */
  int first;
  struct c_function symbols[PHASES];
  bool has_function[PHASES];
};

/* ---- Looking at arguments ---- */

/* The value at the phase's place.  Returns what is wrong with it, on the stack or for good; NULL if nothing is. */
static const char *look_at_callback(lua_State *L, struct request *request, enum phase phase) {
  const char *fault = NULL;
  int index = request->first + (int)phase;
  request->has_function[phase] = lua_isfunction(L, index);
  if (!request->has_function[phase] && !lua_isnil(L, index))
    fault = symbol_function(L, index, &request->symbols[phase]);
  return fault;
}

static const char *name_field(lua_State *L) {
  lua_getfield(L, 1, "name");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "bad argument #1 to 'register' (field 'name': string expected, got %s)", luaL_typename(L, -1));
  const char *name = lua_tostring(L, -1);
  if (strlen(name) != lua_rawlen(L, -1))
    luaL_error(L, "bad argument #1 to 'register' (field 'name' contains a zero byte)");
  return name;
}

static int priority_field(lua_State *L) {
  const int least = ATFORK_PRIORITY_MIN, most = ATFORK_PRIORITY_MAX;
  lua_getfield(L, 1, "priority");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 0;
  }
  if (lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "bad argument #1 to 'register' (field 'priority': integer expected, got %s)", luaL_typename(L, -1));
  lua_Number priority = lua_tonumber(L, -1);
  if (!(priority >= least && priority <= most) || priority != (lua_Number)(int)priority)
    luaL_error(L, "bad argument #1 to 'register' (field 'priority': an integer from %d to %d expected)", least, most);
  lua_pop(L, 1);
  return (int)priority;
}

/* Stays on the stack. */
static int key_field(lua_State *L) {
  lua_getfield(L, 1, "key");
  if (lua_isnil(L, -1)) return 0;
  if (!lua_rawequal(L, -1, -1))
    luaL_error(L, "bad argument #1 to 'register' (field 'key': a number that is not one equals nothing)");
  return lua_gettop(L);
}

static void callback_field(lua_State *L, struct request *request, enum phase phase) {
  lua_getfield(L, 1, phase_names[phase]);
  const char *fault = look_at_callback(L, request, phase);
  if (fault != NULL) luaL_error(L, "bad argument #1 to 'register' (field '%s': %s)", phase_names[phase], fault);
}

/* ---- Letting go of hooks ---- */

/* But for those that are among what is due now. */
static void free_ended(lua_State *L, struct state *state) {
  if (!waiting_is_running(state)) hook_free_ended(L, &state->hooks);
}

/* The core tells when it has let go of a hook, but for one that is all C: then that is now. */
static void forget(lua_State *L, struct state *state, struct hook *hook, atfork_id id) {
  waiting_forget(state, id);
  free_ended(L, state);
  if (hook->id == id && hook->symbols != NULL && hook->symbols->are_all) hook_free(L, hook);
}

static int unregister(lua_State *L) {
  const struct handle *handle = handle_at(L, 1);
  if (handle == NULL)
    return luaL_error(L,
                      "bad argument #1 to 'unregister' (a hook expected, got %s: call hook:unregister() with a colon)",
                      luaL_typename(L, 1));
  struct state *state = enter(L);
  int result = atfork_unregister(handle->id);
  if (result != 0 && errno != ENOENT) return luaL_error(L, "cannot unregister: %s", strerror(errno));
  if (result == 0 && state != NULL) forget(L, state, handle->hook, handle->id);
  lua_pushboolean(L, result == 0);
  return 1;
}

/* ---- Making the hook ---- */

static void fill(lua_State *L, struct hook *hook, const struct request *request) {
  if (request->name[0] != 0) hook_set_name(L, hook, request->name);
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    const struct c_function *symbol = &request->symbols[phase];
    if (symbol->call != NULL) hook_set_symbol(L, hook, phase, *symbol);
    if (!request->has_function[phase] && !symbol->needs_object) continue;
    hook_set_function(L, hook, phase, request->first + (int)phase);
  }
}

/* The hook that had the same key goes. */
static void replace(lua_State *L, struct state *state, struct hook *before) {
  if (before == NULL) return;
  atfork_id id = before->id;
  if (atfork_unregister(id) == 0) forget(L, state, before, id);
}

/* All that may fail for want of memory comes first, so that nothing is registered then. */
static int make_hook(lua_State *L, struct state *state, const struct request *request) {
  free_ended(L, state);
  struct hook *hook = hook_new(L, &state->hooks, state);
  fill(L, hook, request);
  struct hook *before = request->key == 0 ? NULL : hook_set_key(L, hook, request->key);
  handle_new(L, hook, request->name);
  struct atfork_hook core = dispatch_hook(hook, request->has_function);
  core.name = request->name;
  core.priority = request->priority;
  if (core.destroy != NULL) atomic_fetch_add(&state->owners, 1);
  replace(L, state, before);
  atfork_id id = atfork_register(&core);
  if (id == 0) {
    int error = errno;
    if (core.destroy != NULL) state_disown(state);
    hook_free(L, hook);
    return luaL_error(L, "cannot register: %s", strerror(error));
  }
  hook->id = id;
  handle_set_id(L, -1, id);
  if (request->priority == ATFORK_PRIORITY_MAX && !forks_watch_before(id)) {
    atfork_unregister(id);
    return luaL_error(L, "cannot register: %s", strerror(ENOMEM));
  }
  return 1;
}

void register_child(lua_State *L, const char *name, int priority) {
  struct request request = {.name = name, .priority = priority, .first = lua_gettop(L) - CHILD};
  request.has_function[CHILD] = true;
  make_hook(L, state_of(L), &request);
  lua_pop(L, 2);
}

static int register_after_fork(lua_State *L) {
  table_check_dot(L, "register_after_fork");
  struct request request = {.name = "", .first = 1 - CHILD};
  lua_settop(L, 1);
  struct state *state = enter_quickly(L);
  const char *fault = lua_isnil(L, 1) ? "function expected, got nil" : look_at_callback(L, &request, CHILD);
  if (fault != NULL) return luaL_error(L, "bad argument #1 to 'register_after_fork' (%s)", fault);
  return make_hook(L, state, &request);
}

static int register_hook(lua_State *L) {
  static const char *const known[] = {"name", "priority", "key", "prepare", "parent", "child", NULL};
  table_check_dot(L, "register");
  struct request request = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  struct state *state = enter_quickly(L);
  table_check_fields(L, 1, "register", known);
  request.name = name_field(L); /* stays on the stack */
  request.priority = priority_field(L);
  request.key = key_field(L);
  request.first = lua_gettop(L) + 1;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) callback_field(L, &request, phase);
  if (lua_isnil(L, request.first) && lua_isnil(L, request.first + 1) && lua_isnil(L, request.first + 2))
    return luaL_error(L, "bad argument #1 to 'register' (none of 'prepare', 'parent' and 'child' is given)");
  return make_hook(L, state, &request);
}

void register_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"register", register_hook},
      {"register_after_fork", register_after_fork},
      {NULL, NULL},
  };
  handle_open(L, enter_open(L), unregister);
  state_push_place(L);
  luaL_setfuncs(L, functions, 1);
}
