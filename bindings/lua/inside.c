/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* pthread_getattr_np() */
#include "inside.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "compat.h"
#include "state.h"

/* Some of the words that are searched were never set.  This is no mistake, so valgrind is told that they are. */
#ifdef __has_include
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef VALGRIND_MAKE_MEM_DEFINED
#define VALGRIND_MAKE_MEM_DEFINED(address, size) ((void)0)
#endif

enum {
  /* Words of a main coroutine that are searched: in Lua 5.5 it has no more. */
  CALL_WORDS = sizeof(void *) == 8 ? 24 : 28,
  DOING_WORDS = 512,  /* of 32 bits, in LuaJIT's main coroutine and its global state */
  IN_C_FUNCTION = -2, /* what LuaJIT is doing: ~LJ_VMST_C */
  IN_LUA = -1,        /* ~LJ_VMST_INTERP.  In compiled code it is not negative */
};

/* LuaJIT alone has it. */
int luaJIT_setmode(lua_State *L, int index, int mode) __attribute__((weak));

bool inside_is_jit(void) {
  return &luaJIT_setmode != NULL;
}

/* Another thread may be writing the word: an atomic read gets it whole. */
static uintptr_t read_word(const lua_State *L, size_t at) {
  return atomic_load_explicit((const _Atomic uintptr_t *)(const void *)((const char *)L + at), memory_order_relaxed);
}

static int32_t read_int(const lua_State *L, size_t at) {
  return atomic_load_explicit((const _Atomic int32_t *)(const void *)((const char *)L + at), memory_order_relaxed);
}

static uintptr_t here(void) {
  return (uintptr_t)__builtin_frame_address(0);
}

/* ---- Where the innermost protected call is kept ---- */

struct call_search {
  const lua_State *main;
  uintptr_t above;
  size_t found;
};

/* Runs in a protected call: only one word points between this stack frame and that of the function that made the
 * call. */
__attribute__((noinline)) static int find_call(lua_State *L) {
  struct call_search *search = lua_touserdata(L, 1);
  size_t matches = 0;
  for (size_t at = sizeof(uintptr_t); at < CALL_WORDS * sizeof(uintptr_t); at += sizeof(uintptr_t)) {
    uintptr_t word = read_word(search->main, at);
    (void)VALGRIND_MAKE_MEM_DEFINED(&word, sizeof word);
    if (word <= here() || word >= search->above) continue;
    search->found = at;
    matches++;
  }
  if (matches != 1) search->found = 0;
  return 0;
}

__attribute__((noinline)) static size_t look_for_call(lua_State *main) {
  struct call_search search = {.main = main, .above = here()};
  lua_pushcfunction(main, find_call);
  lua_pushlightuserdata(main, &search);
  if (lua_pcall(main, 1, 0, 0) != 0) lua_pop(main, 1);
  return search.found;
}

/* ---- Where LuaJIT keeps what it is doing ---- */

struct doing_search {
  const lua_State *main;
  bool candidate[DOING_WORDS];
};

static _Thread_local struct doing_search *search_under_way;

static void keep_those_that_are(struct doing_search *search, int32_t value) {
  for (size_t i = 0; i < DOING_WORDS; i++) search->candidate[i] &= read_int(search->main, i * sizeof(int32_t)) == value;
}

/* A debug hook, called between two instructions of Lua. */
static void in_lua(lua_State *L, lua_Debug *event) {
  (void)event;
  lua_sethook(L, NULL, 0, 0);
  keep_those_that_are(search_under_way, IN_LUA);
}

/* Runs in a C function called by Lua: the word is IN_C_FUNCTION now, and was IN_LUA in the debug hook. */
static size_t look_for_doing(lua_State *L, lua_State *main) {
  struct doing_search search = {.main = main};
  lua_Hook hook = lua_gethook(L);
  int mask = lua_gethookmask(L), count = lua_gethookcount(L);
  memset(search.candidate, true, sizeof search.candidate);
  keep_those_that_are(&search, IN_C_FUNCTION);
  search_under_way = &search;
  lua_sethook(L, in_lua, LUA_MASKCOUNT, 1);
  if (luaL_loadstring(L, "local i = 0") != 0 || lua_pcall(L, 0, 0, 0) != 0) lua_pop(L, 1);
  lua_sethook(L, hook, mask, count);
  search_under_way = NULL;
  keep_those_that_are(&search, IN_C_FUNCTION);
  size_t found = 0, matches = 0;
  for (size_t i = 0; i < DOING_WORDS; i++) {
    if (!search.candidate[i]) continue;
    found = i * sizeof(int32_t);
    matches++;
  }
  return matches == 1 ? found : 0;
}

void inside_look(lua_State *L, struct state *state) {
  struct inside *inside = &state->inside;
  if (state->main == NULL || inside->call_word != 0) return;
  if (inside_is_jit()) inside->doing_word = look_for_doing(L, state->main);
  inside->call_word = look_for_call(state->main);
}

/* ---- Threads ---- */

/* The upper end of this thread's stack; 0: not known. */
static _Thread_local uintptr_t stack_end;
static _Thread_local bool stack_end_is_known;

/* Called once in each thread, and not while it forks: the main thread's stack is read from a file. */
static void find_stack_end(void) {
  pthread_attr_t attributes;
  void *start;
  size_t size;
  stack_end_is_known = true;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  if (pthread_attr_getstack(&attributes, &start, &size) == 0) stack_end = (uintptr_t)start + size;
  pthread_attr_destroy(&attributes);
}

static size_t this_thread(void) {
  return (size_t)(uintptr_t)pthread_self();
}

void inside_note(struct state *state) {
  size_t self = this_thread();
  if (!stack_end_is_known) find_stack_end();
  if (atomic_load_explicit(&state->inside.caller, memory_order_relaxed) != self)
    atomic_store_explicit(&state->inside.caller, self, memory_order_relaxed);
}

/*
 * Of the known coroutines, the one whose protected call is innermost on this thread's stack; NULL: none.  If another
 * thread is inside the state, only one word of the main coroutine is read while it may be written: `latest` is written
 * by the thread that called us last, which is this one.
 */
static lua_State *innermost_on_stack(const struct state *state) {
  lua_State *const known[] = {state->main, state->latest, state->runner};
  lua_State *innermost = NULL;
  uintptr_t nearest = stack_end;
  if (state->inside.call_word == 0) return NULL;
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (known[i] == NULL) continue;
    uintptr_t call = read_word(known[i], state->inside.call_word);
    if (call < here() || call >= nearest) continue;
    innermost = known[i];
    nearest = call;
  }
  return innermost;
}

/* Finds the innermost coroutine, if it is known.  True: it is certain that this thread is inside the state, or that no
 * other thread can be. */
static bool find_innermost(const struct state *state, bool alone, lua_State **innermost) {
  *innermost = state->main;
  if (atomic_load_explicit(&state->inside.caller, memory_order_relaxed) != this_thread()) return alone;
  lua_State *found = innermost_on_stack(state);
  if (found != NULL) *innermost = found;
  return alone || found != NULL || state->is_polling;
}

bool inside_is_certain(const struct state *state, bool alone) {
  lua_State *innermost;
  return find_innermost(state, alone, &innermost);
}

/* ---- What is innermost ---- */

/* If a signal handler or a debug hook in C forks, an instruction of Lua is innermost. */
static bool is_in_c_function(lua_State *L) {
  lua_Debug frame;
  if (L == NULL || !lua_getstack(L, 0, &frame)) return true;
  return lua_getinfo(L, "S", &frame) && strcmp(frame.what, "C") == 0;
}

bool inside_may_enter(const struct state *state, bool alone) {
  const struct inside *inside = &state->inside;
  lua_State *innermost;
  if (!find_innermost(state, alone, &innermost)) return false;
  if (!inside_is_jit()) return is_in_c_function(innermost);
  /* Compiled code does not update the frames, so they prove nothing. */
  return inside->doing_word != 0 && read_int(state->main, inside->doing_word) == IN_C_FUNCTION;
}
