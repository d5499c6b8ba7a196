/* SPDX-License-Identifier: MIT */
#include "native.h"

#include <errno.h>
#include <stdio.h>

#include "compat.h"
#include "forks.h"
#include "infos.h"
#include "library.h"
#include "number.h"
#include "register.h"
#include "state.h"

void native_enter(lua_State *L) {
  state_enter(L);
}

bool native_polls(lua_State *L, bool is_polling) {
  int error = errno;
  struct state *state = state_enter(L);
  bool before = state != NULL && state->is_polling;
  if (state != NULL) state->is_polling = is_polling;
  errno = error;
  return before;
}

void native_push_fault(lua_State *L, int result) {
  if (result == 0)
    lua_pushnil(L);
  else
    lua_pushstring(L, errno == EALREADY ? "EALREADY" : errno == ENOENT ? "ENOENT" : "EINVAL");
}

/* ---- Of use to module.lua alone ---- */

static int generation(lua_State *L) {
  lua_pushnumber(L, (lua_Number)atfork_generation());
  return 1;
}

static int complain(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  fwrite(text, 1, length, stderr);
  fflush(stderr);
  return 0;
}

/* finalised(function): an object that calls it when it is collected. */
static int finalised(lua_State *L) {
  lua_settop(L, 1);
  state_push_finalised(L);
  return 1;
}

/* take_finaliser(value): also if its metatable is protected by __metatable. */
static int take_finaliser(lua_State *L) {
  lua_settop(L, 1);
  if (!lua_getmetatable(L, 1)) return 0;
  lua_pushliteral(L, "__gc");
  lua_rawget(L, 2);
  if (lua_isnil(L, 3)) return 0;
  lua_pushnil(L);
  lua_setmetatable(L, 1);
  return 0;
}

/* ---- C functions ---- */

static int push_symbol(lua_State *L, void *address, void *data) {
  struct c_function *symbol = lua_newuserdata(L, sizeof *symbol);
  *symbol = (struct c_function){.call = (void (*)(void *))(uintptr_t)address, .data = data};
  lua_pushvalue(L, lua_upvalueindex(SYMBOL_TYPE));
  lua_setmetatable(L, -2);
  return 1;
}

/* The target of a cdata that is a pointer. */
static void *pointer_in_cdata(lua_State *L, int index) {
  return *(void *const *)lua_topointer(L, index);
}

static void *check_pointer(lua_State *L, int arg) {
  enum { TYPE_CDATA = 10 }; /* LuaJIT's */
  if (lua_type(L, arg) == TYPE_CDATA) return pointer_in_cdata(L, arg);
  if (lua_isnil(L, arg) || lua_isuserdata(L, arg)) return lua_touserdata(L, arg);
  if (lua_type(L, arg) != LUA_TNUMBER)
    luaL_error(L, "bad argument #%d to 'symbol' (pointer expected, got %s)", arg, luaL_typename(L, arg));
  uint64_t address = number_to_uint64(L, arg, "symbol");
  if (address > UINTPTR_MAX) luaL_error(L, "bad argument #%d to 'symbol' (not an address)", arg);
  return (void *)(uintptr_t)address;
}

/* symbol(library, name, pointer, object): keeps the object that the pointer points into, in a table, as only a table
 * can be a user value in every Lua. */
static int symbol(lua_State *L) {
  lua_settop(L, 4);
  void *data = check_pointer(L, 3);
  struct library_fault fault;
  void *address = library_find(lua_tostring(L, 1), lua_tostring(L, 2), &fault);
  if (address == NULL)
    return luaL_error(L, "bad argument #%d to 'symbol' (%s)", fault.is_of_library ? 1 : 2, fault.text);
  push_symbol(L, address, data);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 4);
  lua_rawseti(L, -2, 1);
  lua_setuservalue(L, -2);
  return 1;
}

/* Pushes a Symbol for a C function of LuaJIT; or nil and the fault.  LuaJIT unloads a library when its namespace object
 * is collected; from now on it stays loaded. */
static int symbol_of_cdata(lua_State *L) {
  void *address = pointer_in_cdata(L, 1);
  if (address != NULL && library_keep(address)) return push_symbol(L, address, NULL);
  lua_pushnil(L);
  lua_pushstring(L, address == NULL
                        ? "a null pointer"
                        : "not a function of a library: register Lua functions as they are, not as C callbacks");
  return 2;
}

static int is_symbol(lua_State *L) {
  lua_settop(L, 1);
  lua_pushboolean(L, lua_getmetatable(L, 1) && lua_rawequal(L, 2, lua_upvalueindex(SYMBOL_TYPE)));
  return 1;
}

/* ---- hooks() ---- */

static void set_flag(lua_State *L, const char *name, bool flag) {
  lua_pushboolean(L, flag);
  lua_setfield(L, -2, name);
}

static void push_info(lua_State *L, const struct atfork_info *info) {
  lua_createtable(L, 0, 7);
  number_push_exactly(L, info->id);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, info->hook.name);
  lua_setfield(L, -2, "name");
  lua_pushinteger(L, info->hook.priority);
  lua_setfield(L, -2, "priority");
  number_push_uint64(L, info->generation);
  lua_setfield(L, -2, "generation");
  set_flag(L, "prepare", info->hook.prepare != NULL || info->hook.try_prepare != NULL);
  set_flag(L, "parent", info->hook.parent != NULL);
  set_flag(L, "child", info->hook.child != NULL);
}

static int push_infos(lua_State *L) {
  const struct infos *infos = lua_touserdata(L, 1);
  lua_createtable(L, (int)infos->count, 0);
  for (size_t i = 0; i < infos->count; i++) {
    push_info(L, &infos->all[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

static int hooks(lua_State *L) {
  struct infos infos;
  state_enter_quickly(L);
  lua_pushcfunction(L, push_infos);
  bool taken = infos_take(&infos, forks_is_watch);
  lua_pushlightuserdata(L, &infos);
  int failed = lua_pcall(L, 1, 1, 0);
  infos_free(&infos);
  if (failed) return lua_error(L);
  if (!taken) return luaL_error(L, "not enough memory");
  return 1;
}

/* ---- prepared() ---- */

static int prepared(lua_State *L) {
  const struct state *state = state_enter_quickly(L);
  if (state == NULL || state->run.depth == 0 || state->run.call.phase == PREPARE)
    return luaL_error(L, "prepared() may be called only in a parent or child callback");
  lua_pushboolean(L, run_is_prepared(&state->run.call));
  return 1;
}

/* ---- Opening ---- */

static const char module_key;

static const luaL_Reg functions[] = {
    {"add", register_add},
    {"unregister", register_unregister},
    {"id", register_id},
    {"priority", register_priority},
    {"definition", register_definition},
    {"generation", generation},
    {"complain", complain},
    {"finalised", finalised},
    {"take_finaliser", take_finaliser},
    {"symbol", symbol},
    {"symbol_of_cdata", symbol_of_cdata},
    {"is_symbol", is_symbol},
    {"hooks", hooks},
    {"prepared", prepared},
    {NULL, NULL},
};

/* Copies values that lie one after the other on the stack. */
static void push_copies(lua_State *L, int first, int count) {
  for (int i = 0; i < count; i++) lua_pushvalue(L, first + i);
}

static int reference(lua_State *L, int index) {
  lua_pushvalue(L, index);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Pushes register.h's upvalues. */
static struct state *push_upvalues(lua_State *L) {
  int below = lua_gettop(L);
  struct state *state = state_open(L);
  while (lua_gettop(L) < below + UPVALUES) lua_newtable(L);
  for (int phase = PREPARE; phase < PHASES; phase++)
    state->run.functions[phase] = reference(L, below + FUNCTIONS + phase);
  state->run.hooks = reference(L, below + HOOKS);
  return state;
}

/* Calls module.lua with the module's table, our functions, package.loaded and two metatables.  It returns the error
 * handler, the function that reports an error, and the function that register_after_fork() calls if its argument is no
 * Lua function. */
static void call_source(lua_State *L, int module, int upvalues, lua_CFunction open_random, const char *source,
                        size_t size) {
  if (luaL_loadbuffer(L, source, size, "=atfork") != 0) lua_error(L);
  lua_pushvalue(L, module);
  lua_newtable(L);
  push_copies(L, upvalues, UPVALUES);
  luaL_setfuncs(L, functions, UPVALUES);
  lua_pushcfunction(L, open_random);
  lua_setfield(L, -2, "open_random");
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  push_copies(L, upvalues + HOOK_TYPE - 1, 2);
  lua_call(L, 5, 3);
}

static void make_module(lua_State *L, int module, lua_CFunction open_random, const char *source, size_t size) {
  int upvalues = module + 1;
  if (!forks_watch()) luaL_error(L, "not enough memory");
  struct state *state = push_upvalues(L);
  call_source(L, module, upvalues, open_random, source, size);
  int results = upvalues + UPVALUES;
  push_copies(L, upvalues, UPVALUES);
  lua_pushvalue(L, results + 2);
  lua_pushcclosure(L, register_after_fork, OTHERWISE);
  lua_setfield(L, module, "register_after_fork");
  state->run.handler = reference(L, results);
  state->run.report = reference(L, results + 1);
  run_open(L, state);
}

void native_open(lua_State *L, lua_CFunction open_random, const char *source, size_t size) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key);
  if (lua_istable(L, -1)) return;
  lua_pop(L, 1);
  int module = lua_gettop(L);
  lua_pushnil(L); /* SWIG's metatable refuses on_error */
  lua_setmetatable(L, module);
  make_module(L, module, open_random, source, size);
  lua_settop(L, module);
  lua_pushvalue(L, module);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
}
