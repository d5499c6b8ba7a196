/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* dladdr1() */
#include "hooks.h"

#include <atfork.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat.h"

enum phase { PREPARE, PARENT, CHILD, PHASES };

static const char *const phase_names[PHASES] = {"prepare", "parent", "child"};

static const char hook_type[] = "atfork.hook";
static const char symbol_type[] = "atfork.symbol";
static const char state_key[] = "atfork.state";

typedef void (*callback)(void *data);

/*
 * A Lua state that has the module.  It lies in a userdata that the registry keeps, and goes with the state.
 */
struct state {
  lua_State *main;   /* NULL if it is not known: Lua 5.1 and LuaJIT, when required in a coroutine */
  lua_State *runner; /* the coroutine that callbacks run in */
  bool jit;          /* LuaJIT */
  bool inside;       /* a call of ours is on the C stack: Lua may be entered whatever else is so */
  bool closed;
  pthread_t thread;             /* the latest to call us from this state */
  struct hook *hooks;           /* all that are not freed */
  struct hook *_Atomic waiting; /* pushed by forks, taken all at once by the state's thread */
  lua_Hook user_hook;           /* the debug hook that ours stands in for */
  int user_mask;
  int user_count;
};

/*
 * A hook registered from this state.  Freed when both are done with it: Lua, which holds its functions, and
 * the core, which calls destroy().
 */
struct hook {
  struct state *state; /* NULL once the state is closed */
  struct hook *next;
  atfork_id id;
  int functions[PHASES]; /* references into the registry, or LUA_NOREF */
  callback symbols[PHASES];
  char *name;
  int priority;
  int unpaired; /* forks that its prepare could not run in, and whose parent is left out too */
  int prepared; /* forks that it has */
  struct hook *_Atomic next_waiting;
  _Atomic bool is_waiting;
  _Atomic int due[PHASES]; /* how often each has to run when the state goes on */
  _Atomic bool destroyed;
};

/* ---- Numbers ---- */

uint64_t atfork_lua_to_uint64(lua_State *L, int arg) {
#if LUA_VERSION_NUM >= 503
  return (uint64_t)luaL_checkinteger(L, arg);
#else
  double number = luaL_checknumber(L, arg);
  if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0) || number != (double)(int64_t)number)
    luaL_argerror(L, arg, "number has no integer representation");
  return (uint64_t)(int64_t)number;
#endif
}

void atfork_lua_push_uint64(lua_State *L, uint64_t number) {
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, (lua_Integer)number);
#else
  /* All of it where a double holds it, as generations do; else the upper bits, as in a seed each is as good. */
  lua_pushnumber(L, (lua_Number)(number >> 53 == 0 ? number : number >> 11));
#endif
}

/* An id where integers are too short for it: its digits. */
static void push_id(lua_State *L, atfork_id id) {
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, (lua_Integer)id);
#else
  char digits[24];
  lua_pushlstring(L, digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)id));
#endif
}

/* ---- Errors in callbacks ---- */

/* Turns an error into (error, traceback). */
static int with_traceback(lua_State *L) {
  lua_newtable(L);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_getglobal(L, "debug");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "traceback");
    if (lua_isfunction(L, -1)) {
      lua_pushliteral(L, "");
      lua_pushinteger(L, 2);
      if (lua_pcall(L, 2, 1, 0) == 0 && lua_isstring(L, -1)) {
        lua_rawseti(L, 2, 2);
        lua_settop(L, 2);
        return 1;
      }
    }
  }
  lua_settop(L, 2);
  lua_pushliteral(L, "");
  lua_rawseti(L, 2, 2);
  return 1;
}

/* What tostring() makes of the value on top, which may fail itself. */
static const char *describe(lua_State *L) {
  lua_getglobal(L, "tostring");
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 1, 0) == 0 && lua_isstring(L, -1)) return lua_tostring(L, -1);
  return "(an error that cannot be shown)";
}

static void warn(lua_State *L, const struct hook *hook, const char *where, const char *traceback) {
  fprintf(stderr, "atfork: error in %s of hook '%s': %s%s\n", where, hook->name, describe(L), traceback);
  fflush(stderr);
}

static void push_hook(lua_State *L, struct hook *hook);

/* With {error, traceback} on top of the runner's stack; takes it away. */
static void report(lua_State *L, struct hook *hook, enum phase phase) {
  int base = lua_gettop(L);
  if (!lua_istable(L, base)) {
    /* Out of memory, or an error in the handler above. */
    warn(L, hook, phase_names[phase], "");
    lua_settop(L, base - 1);
    return;
  }
  lua_rawgeti(L, base, 1);
  lua_rawgeti(L, base, 2);
  lua_getfield(L, LUA_REGISTRYINDEX, "atfork.module");
  if (lua_istable(L, -1)) lua_getfield(L, -1, "on_error");
  if (lua_isfunction(L, -1)) {
    lua_pushvalue(L, base + 1);
    push_hook(L, hook);
    lua_pushvalue(L, base + 2);
    if (lua_pcall(L, 3, 0, 0) == 0) {
      lua_settop(L, base - 1);
      return;
    }
    warn(L, hook, "on_error", "");
  }
  lua_settop(L, base + 2);
  const char *traceback = lua_tostring(L, base + 2);
  lua_pushvalue(L, base + 1);
  warn(L, hook, phase_names[phase], traceback);
  lua_settop(L, base - 1);
}

/* ---- Running callbacks ---- */

static void run(struct hook *hook, enum phase phase) {
  struct state *state = hook->state;
  lua_State *L = state->runner;
  int base = lua_gettop(L);
  if (!lua_checkstack(L, 16)) {
    fprintf(stderr, "atfork: no memory to call %s of hook '%s'\n", phase_names[phase], hook->name);
    return;
  }
  lua_pushcfunction(L, with_traceback);
  lua_rawgeti(L, LUA_REGISTRYINDEX, hook->functions[phase]);
  if (lua_pcall(L, 0, 0, base + 1) != 0) report(L, hook, phase);
  lua_settop(L, base);
}

/*
 * Whether Lua may be entered from here, somewhere inside fork().
 *
 * Only in the thread that called us last from this state, as no other can know what that one is in the
 * middle of.  Under LuaJIT that thread may be in compiled code, which calls C through the FFI with Lua's own
 * stack not in order.  It is in order when the innermost frame is a plain C function, or there is none; the
 * functions that resume a coroutine are not plain.
 */
static bool may_enter(const struct state *state) {
  if (state->inside) return true;
  if (!pthread_equal(state->thread, pthread_self())) return false;
  if (!state->jit) return true;
  lua_State *L = state->main;
  lua_Debug frame;
  if (L == NULL) return false;
  if (!lua_getstack(L, 0, &frame)) return true;
  if (!lua_getinfo(L, "S", &frame) || strcmp(frame.what, "C") != 0) return false;
  if (!lua_getinfo(L, "f", &frame)) return false;
  bool plain = lua_tocfunction(L, -1) != NULL;
  lua_pop(L, 1);
  return plain;
}

static struct state *state_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, state_key);
  struct state *state = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return state;
}

static void run_waiting(struct state *state) {
  if (atomic_load(&state->waiting) == NULL) return;
  struct hook *first = NULL;
  struct hook *hook = atomic_exchange(&state->waiting, NULL);
  while (hook != NULL) { /* the order in which they were pushed */
    struct hook *next = atomic_load(&hook->next_waiting);
    atomic_store(&hook->next_waiting, first);
    first = hook;
    hook = next;
  }
  bool inside = state->inside;
  state->inside = true;
  while (first != NULL) {
    hook = first;
    first = atomic_load(&hook->next_waiting);
    atomic_store(&hook->is_waiting, false);
    for (enum phase phase = PREPARE; phase < PHASES; phase++)
      for (int due = atomic_exchange(&hook->due[phase], 0); due > 0; due--)
        if (hook->functions[phase] != LUA_NOREF) run(hook, phase);
  }
  state->inside = inside;
}

/* Lua's debug hook: comes before the state's next instruction, and hands over to the user's own at once. */
static void before_next_instruction(lua_State *L, lua_Debug *event) {
  struct state *state = state_of(L);
  lua_Hook user_hook = state->user_hook;
  int user_mask = state->user_mask;
  lua_sethook(L, user_hook, user_mask, state->user_count);
  state->user_hook = NULL;
  run_waiting(state);
  if (user_hook != NULL && (user_mask & (1 << event->event)) != 0 && event->event != LUA_HOOKCOUNT) user_hook(L, event);
}

/* Has a callback run when the state goes on.  lua_sethook() may be called from outside of Lua; no more is done here. */
static void run_later(struct hook *hook, enum phase phase) {
  struct state *state = hook->state;
  if (phase == CHILD) {
    /* Once, and what waits from the parent is that one's. */
    atomic_store(&hook->due[PARENT], 0);
    atomic_store(&hook->due[CHILD], 1);
  } else {
    atomic_fetch_add(&hook->due[phase], 1);
  }
  if (!atomic_exchange(&hook->is_waiting, true)) {
    struct hook *head = atomic_load(&state->waiting);
    do atomic_store(&hook->next_waiting, head);
    while (!atomic_compare_exchange_weak(&state->waiting, &head, hook));
  }
  /* In a parent another thread is running the state, and looks when it calls us next. */
  if (phase != CHILD && !pthread_equal(state->thread, pthread_self())) return;
  /* LuaJIT has one debug hook for all coroutines; elsewhere each has its own. */
  lua_State *L = state->main != NULL ? state->main : state->runner;
  lua_Hook now = lua_gethook(L);
  if (now == before_next_instruction) return;
  state->user_hook = now;
  state->user_mask = now == NULL ? 0 : lua_gethookmask(L);
  state->user_count = now == NULL ? 0 : lua_gethookcount(L);
  lua_sethook(L, before_next_instruction, state->user_mask | LUA_MASKCOUNT, 1);
}

static void on_phase(struct hook *hook, enum phase phase) {
  if (hook->state == NULL) return;
  if (hook->symbols[phase] != NULL) {
    hook->symbols[phase](NULL);
    return;
  }
  if (phase == PARENT && hook->unpaired > 0) {
    hook->unpaired--;
    return;
  }
  if (hook->functions[phase] == LUA_NOREF) return;
  if (may_enter(hook->state))
    run(hook, phase);
  else if (phase == PREPARE)
    hook->unpaired++;
  else
    run_later(hook, phase);
}

static void on_prepare(void *hook) {
  on_phase(hook, PREPARE);
}
static void on_parent(void *hook) {
  on_phase(hook, PARENT);
}
static void on_child(void *data) {
  struct hook *hook = data;
  hook->unpaired = 0;
  on_phase(hook, CHILD);
}

/* ---- Life of a hook ---- */

static void free_hook(struct hook *hook) {
  free(hook->name);
  free(hook);
}

/* From the core, perhaps inside fork(): Lua's part waits for the state's next call. */
static void on_destroy(void *data) {
  struct hook *hook = data;
  if (hook->state == NULL)
    free_hook(hook);
  else
    atomic_store(&hook->destroyed, true);
}

/* Lets go of the functions of hooks that are gone for good. */
static void sweep(lua_State *L, struct state *state) {
  struct hook **at = &state->hooks;
  while (*at != NULL) {
    struct hook *hook = *at;
    if (!atomic_load(&hook->destroyed) || atomic_load(&hook->is_waiting)) {
      at = &hook->next;
      continue;
    }
    *at = hook->next;
    for (enum phase phase = PREPARE; phase < PHASES; phase++)
      if (hook->functions[phase] != LUA_NOREF) luaL_unref(L, LUA_REGISTRYINDEX, hook->functions[phase]);
    free_hook(hook);
  }
}

void atfork_lua_enter(lua_State *L) {
  struct state *state = state_of(L);
  state->thread = pthread_self();
  run_waiting(state);
}

/* lua_close(): the state takes its hooks with it. */
static int close_state(lua_State *L) {
  struct state *state = lua_touserdata(L, 1);
  if (state->closed) return 0;
  state->closed = true;
  while (state->hooks != NULL) {
    struct hook *hook = state->hooks;
    state->hooks = hook->next;
    atfork_unregister(hook->id); /* ENOENT: it is destroyed, or will be when the fork under way ends */
    hook->state = NULL;
    if (atomic_load(&hook->destroyed)) free_hook(hook);
  }
  return 0;
}

/* ---- Hook objects ---- */

/* The userdata holds the id; what it looked like is in its environment, for when the hook is gone. */
struct handle {
  atfork_id id;
  int priority;
  bool unregistered;
  size_t length;
  char name[];
};

static void push_handle(lua_State *L, atfork_id id, const char *name, int priority) {
  size_t length = strlen(name);
  struct handle *handle = lua_newuserdata(L, sizeof *handle + length + 1);
  *handle = (struct handle){.id = id, .priority = priority, .length = length};
  memcpy(handle->name, name, length + 1);
  luaL_getmetatable(L, hook_type);
  lua_setmetatable(L, -2);
}

static void push_hook(lua_State *L, struct hook *hook) {
  push_handle(L, hook->id, hook->name, hook->priority);
}

static int hook_unregister(lua_State *L) {
  struct handle *handle = luaL_checkudata(L, 1, hook_type);
  atfork_lua_enter(L);
  int result = atfork_unregister(handle->id);
  if (result != 0 && errno != ENOENT) return luaL_error(L, "cannot unregister: %s", strerror(errno));
  sweep(L, state_of(L));
  lua_pushboolean(L, result == 0);
  return 1;
}

static int hook_index(lua_State *L) {
  const struct handle *handle = luaL_checkudata(L, 1, hook_type);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "unregister") == 0)
    lua_pushcfunction(L, hook_unregister);
  else if (strcmp(key, "id") == 0)
    push_id(L, handle->id);
  else if (strcmp(key, "name") == 0)
    lua_pushlstring(L, handle->name, handle->length);
  else if (strcmp(key, "priority") == 0)
    lua_pushinteger(L, handle->priority);
  else
    lua_pushnil(L);
  return 1;
}

static int hook_equals(lua_State *L) {
  const struct handle *a = luaL_testudata(L, 1, hook_type);
  const struct handle *b = luaL_testudata(L, 2, hook_type);
  lua_pushboolean(L, a != NULL && b != NULL && a->id == b->id);
  return 1;
}

static int hook_tostring(lua_State *L) {
  const struct handle *handle = luaL_checkudata(L, 1, hook_type);
  char id[24];
  snprintf(id, sizeof id, "%llx", (unsigned long long)handle->id);
  lua_pushfstring(L, "atfork.hook '%s' (priority %d, id %s)", handle->name, handle->priority, id);
  return 1;
}

/* ---- C-side callbacks ---- */

struct symbol {
  callback function;
};

/* Data symbols and code look the same to dlsym(); the symbol table knows. */
static bool is_function(void *address) {
  Dl_info info;
  const ElfW(Sym) *entry = NULL;
  if (!dladdr1(address, &info, (void **)(uintptr_t)&entry, RTLD_DL_SYMENT) || entry == NULL) return true;
  int type = ELF64_ST_TYPE(entry->st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

/* The library stays for good: a hook's code must not go while a fork may still call it. */
static int symbol_new(lua_State *L) {
  const char *library = luaL_optstring(L, 1, NULL);
  const char *name = luaL_checkstring(L, 2);
  void *handle = dlopen(library, RTLD_NOW | RTLD_NODELETE);
  if (handle == NULL) return luaL_error(L, "bad argument #1 to 'symbol' (%s)", dlerror());
  void *address = dlsym(handle, name);
  const char *error = address == NULL ? dlerror() : NULL;
  if (error != NULL) lua_pushstring(L, error);
  dlclose(handle);
  if (error != NULL) return luaL_error(L, "bad argument #2 to 'symbol' (%s)", lua_tostring(L, -1));
  if (address == NULL || !is_function(address))
    return luaL_error(L, "bad argument #2 to 'symbol' (%s is not a function)", name);
  struct symbol *symbol = lua_newuserdata(L, sizeof *symbol);
  symbol->function = (callback)(uintptr_t)address;
  luaL_getmetatable(L, symbol_type);
  lua_setmetatable(L, -2);
  return 1;
}

static int symbol_tostring(lua_State *L) {
  const struct symbol *symbol = luaL_checkudata(L, 1, symbol_type);
  lua_pushfstring(L, "atfork.symbol: %p", (void *)(uintptr_t)symbol->function);
  return 1;
}

/* LuaJIT's cdata: a C function, or a pointer to one, is what tostring() shows with parentheses. */
static callback function_of_cdata(lua_State *L, int index) {
  enum { TYPE_CDATA = 10 };
  if (lua_type(L, index) != TYPE_CDATA) return NULL;
  lua_pushvalue(L, index);
  const char *shown = describe(L);
  bool is_callable = strchr(shown, '(') != NULL && strncmp(shown, "cdata<", 6) == 0;
  lua_pop(L, 2);
  return is_callable ? *(callback *)(uintptr_t)lua_topointer(L, index) : NULL;
}

/* ---- Registering ---- */

/* Puts the value on top into a phase of the hook; false if it is none that can be called. */
static bool take_callback(lua_State *L, struct hook *hook, enum phase phase) {
  const struct symbol *symbol = luaL_testudata(L, -1, symbol_type);
  hook->symbols[phase] = symbol != NULL ? symbol->function : function_of_cdata(L, lua_gettop(L));
  if (hook->symbols[phase] != NULL) {
    lua_pop(L, 1);
    return true;
  }
  if (!lua_isfunction(L, -1)) return false;
  hook->functions[phase] = luaL_ref(L, LUA_REGISTRYINDEX);
  return true;
}

static bool is_all_c(const struct hook *hook) {
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    if (hook->functions[phase] != LUA_NOREF) return false;
  return true;
}

static bool has(const struct hook *hook, enum phase phase) {
  return hook->functions[phase] != LUA_NOREF || hook->symbols[phase] != NULL;
}

/* A hook that is all C runs its callbacks directly, as one that C registered. */
static struct atfork_hook core_hook(struct hook *hook) {
  struct atfork_hook core = {.name = hook->name, .priority = hook->priority, .data = hook, .destroy = on_destroy};
  bool direct = is_all_c(hook);
  if (has(hook, PREPARE)) core.prepare = direct ? hook->symbols[PREPARE] : on_prepare;
  if (has(hook, PARENT) || (has(hook, PREPARE) && !direct)) core.parent = direct ? hook->symbols[PARENT] : on_parent;
  if (has(hook, CHILD) || !direct) core.child = direct ? hook->symbols[CHILD] : on_child;
  return core;
}

static struct hook *new_hook(lua_State *L, struct state *state) {
  struct hook *hook = calloc(1, sizeof *hook);
  if (hook == NULL) luaL_error(L, "not enough memory");
  for (enum phase phase = PREPARE; phase < PHASES; phase++) hook->functions[phase] = LUA_NOREF;
  /* In the state's list from now on, as one that is gone: an error below loses nothing. */
  hook->state = state;
  atomic_store(&hook->destroyed, true);
  hook->next = state->hooks;
  state->hooks = hook;
  return hook;
}

static int add_hook(lua_State *L, struct hook *hook, const char *name) {
  hook->name = strdup(name);
  if (hook->name == NULL) return luaL_error(L, "not enough memory");
  /* Pushed first, as this may fail, and then nothing is registered. */
  push_handle(L, 0, name, hook->priority);
  struct atfork_hook core = core_hook(hook);
  atomic_store(&hook->destroyed, false);
  hook->id = atfork_register(&core);
  if (hook->id == 0) {
    atomic_store(&hook->destroyed, true);
    return luaL_error(L, "cannot register: %s", strerror(errno));
  }
  ((struct handle *)lua_touserdata(L, -1))->id = hook->id;
  return 1;
}

static int register_after_fork(lua_State *L) {
  lua_settop(L, 1);
  atfork_lua_enter(L);
  struct state *state = state_of(L);
  sweep(L, state);
  struct hook *hook = new_hook(L, state);
  if (!take_callback(L, hook, CHILD))
    return luaL_error(L, "bad argument #1 to 'register_after_fork' (function expected, got %s)", luaL_typename(L, 1));
  return add_hook(L, hook, "");
}

static void check_keys(lua_State *L) {
  static const char *const known[] = {"name", "priority", "prepare", "parent", "child"};
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    bool found = false;
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    for (size_t i = 0; key != NULL && i < sizeof known / sizeof known[0]; i++) found |= strcmp(key, known[i]) == 0;
    if (!found) {
      lua_pushvalue(L, -2);
      luaL_error(L, "bad argument #1 to 'register' (unknown field '%s')", describe(L));
    }
    lua_pop(L, 1);
  }
}

static const char *name_field(lua_State *L) {
  lua_getfield(L, 1, "name");
  if (lua_isnil(L, -1)) return "";
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "bad argument #1 to 'register' (field 'name': string expected, got %s)", luaL_typename(L, -1));
  const char *name = lua_tostring(L, -1);
  if (strlen(name) != lua_rawlen(L, -1))
    luaL_error(L, "bad argument #1 to 'register' (field 'name' contains a zero byte)");
  return name;
}

static int priority_field(lua_State *L) {
  lua_getfield(L, 1, "priority");
  if (lua_isnil(L, -1)) return 0;
  if (lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "bad argument #1 to 'register' (field 'priority': integer expected, got %s)", luaL_typename(L, -1));
  lua_Number priority = lua_tonumber(L, -1);
  if (!(priority >= ATFORK_PRIORITY_MIN && priority <= ATFORK_PRIORITY_MAX) || priority != (lua_Number)(int)priority)
    luaL_error(L, "bad argument #1 to 'register' (field 'priority': an integer from %d to %d expected)",
               ATFORK_PRIORITY_MIN, ATFORK_PRIORITY_MAX);
  return (int)priority;
}

static int register_hook(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  atfork_lua_enter(L);
  check_keys(L);
  const char *name = name_field(L); /* stays on the stack */
  int priority = priority_field(L);
  struct state *state = state_of(L);
  sweep(L, state);
  struct hook *hook = new_hook(L, state);
  hook->priority = priority;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    lua_getfield(L, 1, phase_names[phase]);
    if (lua_isnil(L, -1))
      lua_pop(L, 1);
    else if (!take_callback(L, hook, phase))
      return luaL_error(L, "bad argument #1 to 'register' (field '%s': function expected, got %s)", phase_names[phase],
                        luaL_typename(L, -1));
  }
  if (!has(hook, PREPARE) && !has(hook, PARENT) && !has(hook, CHILD))
    return luaL_error(L, "bad argument #1 to 'register' (none of 'prepare', 'parent' and 'child' is given)");
  return add_hook(L, hook, name);
}

/* ---- hooks(), per_process() ---- */

struct list {
  lua_State *L;
  struct atfork_info *infos;
  size_t count;
  size_t room;
};

/* Lua raises errors by longjmp(), which must not leave a visit: it only copies. */
static int copy_info(const struct atfork_info *info, void *arg) {
  struct list *list = arg;
  if (list->count == list->room) {
    size_t room = list->room == 0 ? 16 : 2 * list->room;
    struct atfork_info *infos = realloc(list->infos, room * sizeof *infos);
    if (infos == NULL) return ENOMEM;
    list->infos = infos;
    list->room = room;
  }
  list->infos[list->count] = *info;
  list->infos[list->count].hook.name = strdup(info->hook.name);
  return list->infos[list->count++].hook.name == NULL ? ENOMEM : 0;
}

static int push_list(lua_State *L) {
  const struct list *list = lua_touserdata(L, 1);
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    const struct atfork_info *info = &list->infos[i];
    lua_createtable(L, 0, 7);
    push_id(L, info->id);
    lua_setfield(L, -2, "id");
    lua_pushstring(L, info->hook.name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, info->hook.priority);
    lua_setfield(L, -2, "priority");
    atfork_lua_push_uint64(L, info->generation);
    lua_setfield(L, -2, "generation");
    lua_pushboolean(L, info->hook.prepare != NULL || info->hook.try_prepare != NULL);
    lua_setfield(L, -2, "prepare");
    lua_pushboolean(L, info->hook.parent != NULL);
    lua_setfield(L, -2, "parent");
    lua_pushboolean(L, info->hook.child != NULL);
    lua_setfield(L, -2, "child");
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

static int hooks(lua_State *L) {
  struct list list = {.L = L};
  atfork_lua_enter(L);
  int error = atfork_foreach(copy_info, &list);
  lua_pushcfunction(L, push_list);
  lua_pushlightuserdata(L, &list);
  int failed = lua_pcall(L, 1, 1, 0);
  for (size_t i = 0; i < list.count; i++) free((char *)(uintptr_t)list.infos[i].hook.name);
  free(list.infos);
  if (failed) return lua_error(L);
  if (error != 0) return luaL_error(L, "not enough memory");
  return 1;
}

/* Upvalues: the function, the generation that the value is of or nil, the value. */
static int per_process_call(lua_State *L) {
  uint64_t generation = atfork_generation();
  if (lua_isnil(L, lua_upvalueindex(2)) || lua_tonumber(L, lua_upvalueindex(2)) != (lua_Number)generation) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_call(L, 0, 1);
    lua_replace(L, lua_upvalueindex(3));
    lua_pushnumber(L, (lua_Number)generation);
    lua_replace(L, lua_upvalueindex(2));
  }
  lua_pushvalue(L, lua_upvalueindex(3));
  return 1;
}

static int per_process(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushcclosure(L, per_process_call, 3);
  return 1;
}

/* ---- Opening ---- */

static void new_type(lua_State *L, const char *name, const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, methods, 0);
  lua_pushliteral(L, "protected");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

static void new_state(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, state_key);
  bool open = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (open) return;
  struct state *state = lua_newuserdata(L, sizeof *state);
  *state = (struct state){.thread = pthread_self()};
  lua_newtable(L);
  lua_pushcfunction(L, close_state);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, state_key);
#if LUA_VERSION_NUM >= 502
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  state->main = lua_tothread(L, -1);
#else
  if (lua_pushthread(L)) state->main = L;
#endif
  lua_pop(L, 1);
  lua_getglobal(L, "jit");
  state->jit = lua_istable(L, -1);
  lua_pop(L, 1);
  state->runner = lua_newthread(L);
  lua_setfield(L, LUA_REGISTRYINDEX, "atfork.runner");
}

void atfork_lua_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"register", register_hook},  {"register_after_fork", register_after_fork},
      {"symbol", symbol_new},       {"hooks", hooks},
      {"per_process", per_process}, {NULL, NULL},
  };
  static const luaL_Reg hook_methods[] = {
      {"__index", hook_index},      {"__eq", hook_equals}, {"__tostring", hook_tostring},
      {"__close", hook_unregister}, {NULL, NULL},
  };
  static const luaL_Reg symbol_methods[] = {{"__tostring", symbol_tostring}, {NULL, NULL}};
  new_type(L, hook_type, hook_methods);
  new_type(L, symbol_type, symbol_methods);
  new_state(L);
  luaL_setfuncs(L, functions, 0);
  /* SWIG's table refuses new fields, on_error among them; and its two global functions are of no use here. */
  lua_pushnil(L);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, "atfork.module");
  lua_pushnil(L);
  lua_setglobal(L, "swig_type");
  lua_pushnil(L);
  lua_setglobal(L, "swig_equals");
}
