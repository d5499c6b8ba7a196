/* SPDX-License-Identifier: MIT */
/* A program that has Lua states and several threads: no hook runs in a state that another thread is inside. */
#include <atfork.h>
#include <glib.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"
#include "states.h"

/* ---- A state that another thread is inside ---- */

enum inside { BY_PCALL, BY_COROUTINE };

struct visit {
  lua_State *L;
  enum inside how;
};

static void *visit(void *data) {
  const struct visit *visit = data;
  if (visit->how == BY_PCALL) {
    run(visit->L, "stay() mine = 1");
  } else {
    lua_State *thread = lua_newthread(visit->L);
    g_assert_cmpint(luaL_loadstring(thread, "stay() mine = 1"), ==, 0);
    resume(thread, visit->L);
    lua_pop(visit->L, 1);
  }
  return NULL;
}

static void ran_nothing(void) {
  child_check(trace[0] == 0);
}

/* The thread that called the module last forks while one that never did is inside. */
static void forks_while_visited(enum inside how) {
  pthread_t thread;
  struct visit arguments = {open_state(), how};
  run(arguments.L,
      "atfork = require 'atfork'; atfork.register{prepare = function() trace 'p' end, parent = function() trace 'q' "
      "end,\n"
      "  child = function() trace 'c' end}; atfork.register{parent = function() trace 'Q' end}");
  trace[0] = 0;
  g_assert_cmpint(pthread_create(&thread, NULL, visit, &arguments), ==, 0);
  gate_wait(&entered);
  for (int i = 0; i < 20; i++) in_child(fork, ran_nothing);
  g_assert_cmpstr(trace, ==, "");
  gate_open(&leave);
  pthread_join(thread, NULL);
  run(arguments.L, "atfork.generation()");
  g_assert_cmpstr(trace, ==, "QQQQQQQQQQQQQQQQQQQQ");
  lua_close(arguments.L);
}

static void test_never_where_another_thread_is_inside(void) {
  forks_while_visited(BY_PCALL);
  forks_while_visited(BY_COROUTINE);
}

static lua_State *idle;

static void *stay(void *unused) {
  gate_open(&entered);
  gate_wait(&leave);
  return unused;
}

/* A process that has another thread, which is not inside any state. */
static pthread_t start_bystander(void) {
  pthread_t thread;
  g_assert_cmpint(pthread_create(&thread, NULL, stay, NULL), ==, 0);
  gate_wait(&entered);
  return thread;
}

static void end_bystander(pthread_t thread) {
  gate_open(&leave);
  pthread_join(thread, NULL);
}

static void open_idle(void) {
  idle = open_state();
  run(idle,
      "require 'atfork'.register{priority = 32767, prepare = function() trace 'p' end,\n"
      "  parent = function() trace 'q' end, child = function() trace 'c' end}");
  trace[0] = 0;
}

static void ran_before_the_next_instruction(void) {
  child_check(trace[0] == 0);
  run(idle, "trace 'x'");
  child_check(strcmp(trace, "cx") == 0);
}

/* While there are threads, an idle state may be anybody's. */
static void test_idle_state_among_threads(void) {
  pthread_t bystander = start_bystander();
  open_idle();
  in_child(fork, ran_before_the_next_instruction);
  g_assert_cmpstr(trace, ==, "");
  lua_State *thread = lua_newthread(idle);
  pid_t pid = fork();
  if (pid == 0) {
    luaL_loadstring(thread, "trace 'y' coroutine.yield()");
    resume(thread, idle);
    child_check(trace[0] == 'y' || strcmp(trace, "cy") == 0);
    run(idle, "trace 'x'");
    child_check(strchr(trace, 'c') != NULL && strchr(trace, 'c') == strrchr(trace, 'c'));
    child_passes();
  }
  expect_passed(pid);
  lua_close(idle);
  end_bystander(bystander);
}

static void count(lua_State *L, lua_Debug *event) {
  (void)L;
  (void)event;
}

/* As HAProxy serves a request: in a coroutine of its own, with a debug hook of the host's. */
static void serve(const char *script) {
  lua_State *request = lua_newthread(idle);
  lua_sethook(request, count, LUA_MASKCOUNT, 10000);
  child_check(luaL_loadstring(request, script) == 0);
  resume(request, idle);
}

static void ran_before_the_requests(void) {
  child_check(strcmp(trace, "pc") == 0);
  for (int i = 0; i < 3; i++) serve("trace 'x'");
  child_check(strcmp(trace, "pcxxx") == 0);
}

/* A thread that is joined may be listed for a moment yet. */
static void wait_until_alone(void) {
  gsize threads = 0;
  do {
    GDir *tasks = g_dir_open("/proc/self/task", 0, NULL);
    g_assert_nonnull(tasks);
    for (threads = 0; g_dir_read_name(tasks) != NULL; threads++) continue;
    g_dir_close(tasks);
  } while (threads > 1);
}

/* A process that has one thread again is one that has one thread. */
static void test_idle_state_where_a_thread_was(void) {
  start_thread(NULL);
  wait_until_alone();
  open_idle();
  in_child(fork, ran_before_the_requests);
  g_assert_cmpstr(trace, ==, "pq");
  lua_close(idle);
}

static void ran_in_spite_of_the_debug_hook(void) {
  child_check(trace[0] == 0);
  for (int i = 0; i < 3; i++) serve("garbage = {} for i = 1, 1e5 do garbage[i % 7] = {} end");
  child_check(strcmp(trace, "c") == 0);
}

/* What waits has lost its debug hook in each coroutine: the collector is left to tell. */
static void test_what_waits_survives_the_hosts_debug_hook(void) {
  pthread_t bystander = start_bystander();
  open_idle();
  in_child(fork, ran_in_spite_of_the_debug_hook);
  lua_close(idle);
  end_bystander(bystander);
}

/* It has called the module, and is inside: so at once, though the state was another's before. */
static void *take_over(void *L) {
  run(L, "atfork.generation() local pid = fork() if pid == 0 then expect 'pc' end assert(wait(pid))");
  lua_State *thread = lua_newthread(L);
  luaL_loadstring(thread,
                  "atfork.generation() local pid = fork() if pid == 0 then expect 'pqpc' end assert(wait(pid))");
  resume(thread, L);
  lua_pop((lua_State *)L, 1);
  return NULL;
}

static void test_a_state_that_moves(void) {
  lua_State *L = open_state();
  pthread_t thread;
  run(L,
      "atfork = require 'atfork'; atfork.register{prepare = function() trace 'p' end, parent = function() trace 'q' "
      "end,\n"
      "  child = function() trace 'c' end}");
  trace[0] = 0;
  g_assert_cmpint(pthread_create(&thread, NULL, take_over, L), ==, 0);
  pthread_join(thread, NULL);
  g_assert_cmpstr(trace, ==, "pqpq");
  lua_close(L);
}

/* ---- Several states in several threads ---- */

enum { THREADS = 4 };

static const char forker[] =
    "local atfork = require 'atfork'\n"
    "local prepared, parented, childed = 0, 0, 0\n"
    "local hook = atfork.register{prepare = function() prepared = prepared + 1 end,\n"
    "  parent = function() parented = parented + 1 end, child = function() childed = childed + 1 end}\n"
    "for i = 1, 100 do\n"
    "  local pid = fork()\n"
    "  if pid == 0 then assert(prepared == i and childed == 1) expect '' end\n"
    "  assert(wait(pid))\n"
    "  assert(prepared == i and parented == i and childed == 0)\n"
    "  if i % 10 == 0 then hook:unregister() hook = atfork.register_after_fork(print) hook:unregister()\n"
    "    hook = atfork.register{prepare = function() prepared = prepared + 1 end,\n"
    "      parent = function() parented = parented + 1 end, child = function() childed = childed + 1 end} end\n"
    "end\n";

static void *fork_in_own_state(void *unused) {
  lua_State *L = open_state();
  run(L, forker);
  lua_close(L);
  return unused;
}

static void test_a_state_in_each_thread(void) {
  pthread_t threads[THREADS];
  trace[0] = 0;
  for (int i = 0; i < THREADS; i++) g_assert_cmpint(pthread_create(&threads[i], NULL, fork_in_own_state, NULL), ==, 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  g_assert_cmpint(hooks(), ==, 0);
}

static _Atomic bool enough;

static void *fork_all_the_time(void *unused) {
  while (!enough) in_child(fork, child_passes);
  return unused;
}

static void test_closes_while_another_thread_forks(void) {
  pthread_t thread;
  enough = false;
  g_assert_cmpint(pthread_create(&thread, NULL, fork_all_the_time, NULL), ==, 0);
  for (int i = 0; i < 200; i++) {
    lua_State *L = open_state();
    run(L,
        "local atfork = require 'atfork'\n"
        "for i = 1, 20 do atfork.register{parent = function() end, child = function() end} end atfork.generation()");
    lua_close(L);
  }
  enough = true;
  pthread_join(thread, NULL);
  g_assert_cmpint(hooks(), ==, 0);
}

/* ---- A state that closes inside a callback ---- */

static lua_State *doomed;

static void close_doomed(void *unused) {
  (void)unused;
  if (doomed != NULL) lua_close(doomed);
  doomed = NULL;
}

static void test_closes_in_a_callback_of_c(void) {
  atfork_id id = atfork_register(&(struct atfork_hook){.prepare = close_doomed, .priority = 1});
  doomed = open_state();
  run(doomed,
      "local atfork = require 'atfork' for i = 0, 2 do atfork.register{priority = i, prepare = print, child = print} "
      "end");
  trace[0] = 0;
  /* Priority 2 is prepared before, but this state waits, as there are threads. */
  in_child(fork, child_passes);
  g_assert_cmpint(hooks(), ==, 1);
  atfork_unregister(id);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  gate_make(&entered);
  gate_make(&leave);
  g_test_add_func("/host/never-where-another-thread-is-inside", test_never_where_another_thread_is_inside);
  g_test_add_func("/host/idle-state-among-threads", test_idle_state_among_threads);
  g_test_add_func("/host/idle-state-where-a-thread-was", test_idle_state_where_a_thread_was);
  g_test_add_func("/host/what-waits-survives-the-hosts-debug-hook", test_what_waits_survives_the_hosts_debug_hook);
  g_test_add_func("/host/a-state-that-moves", test_a_state_that_moves);
  g_test_add_func("/host/a-state-in-each-thread", test_a_state_in_each_thread);
  g_test_add_func("/host/closes-while-another-thread-forks", test_closes_while_another_thread_forks);
  g_test_add_func("/host/closes-in-a-callback-of-c", test_closes_in_a_callback_of_c);
  return g_test_run();
}
