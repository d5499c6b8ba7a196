/* SPDX-License-Identifier: MIT */
/* Programs that have Lua inside: several states, several threads, states that move between them, and states that close.
 */
#include <atfork.h>
#include <glib.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forks.h"

#if LUA_VERSION_NUM >= 504
#define resume(thread, from)               \
  do {                                     \
    int results;                           \
    lua_resume(thread, from, 0, &results); \
  } while (0)
#elif LUA_VERSION_NUM >= 502
#define resume(thread, from) lua_resume(thread, from, 0)
#else
#define resume(thread, from) lua_resume(thread, 0)
#endif

/* ---- What scripts may call ---- */

/* What ran in this process, a letter each. */
static char trace[256];

static int l_trace(lua_State *L) {
  strncat(trace, luaL_checkstring(L, 1), sizeof trace - strlen(trace) - 1);
  return 0;
}

static int l_fork(lua_State *L) {
  lua_pushinteger(L, fork());
  return 1;
}

/* Ends a child: with what it is known by, if its trace is as it should be. */
static int l_expect(lua_State *L) {
  const char *wanted = luaL_checkstring(L, 1);
  if (strcmp(trace, wanted) != 0) {
    dprintf(STDERR_FILENO, "in a child: trace is \"%s\", wanted \"%s\"\n", trace, wanted);
    _exit(1);
  }
  child_passes();
}

static int l_wait(lua_State *L) {
  int status;
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  lua_pushboolean(L, waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == CHILD_PASSED);
  return 1;
}

/* resource(letter): what traces the letter when it is finalised. */
static int end_resource(lua_State *L) {
  const char letter[] = {*(const char *)lua_touserdata(L, 1), 0};
  strncat(trace, letter, sizeof trace - strlen(trace) - 1);
  return 0;
}

static int l_resource(lua_State *L) {
  *(char *)lua_newuserdata(L, 1) = *luaL_checkstring(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, end_resource);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return 1;
}

static struct gate entered, leave;

/* Says that it is inside Lua, and stays there. */
static int l_stay(lua_State *L) {
  (void)L;
  gate_open(&entered);
  gate_wait(&leave);
  return 0;
}

static lua_State *open_state(void) {
  static const struct {
    const char *name;
    lua_CFunction function;
  } functions[] = {{"trace", l_trace}, {"fork", l_fork}, {"expect", l_expect},
                   {"wait", l_wait},   {"stay", l_stay}, {"resource", l_resource}};
  lua_State *L = luaL_newstate();
  g_assert_nonnull(L);
  luaL_openlibs(L);
  for (size_t i = 0; i < G_N_ELEMENTS(functions); i++) {
    lua_pushcfunction(L, functions[i].function);
    lua_setglobal(L, functions[i].name);
  }
  return L;
}

static void run(lua_State *L, const char *script) {
  if (luaL_loadstring(L, script) != 0 || lua_pcall(L, 0, 0, 0) != 0) g_error("%s: %s", script, lua_tostring(L, -1));
}

/* But for the module's own, which stay. */
static int count_hook(const struct atfork_info *info, void *count) {
  if (strcmp(info->hook.name, "lua") != 0) ++*(int *)count;
  return 0;
}

static int hooks(void) {
  int count = 0;
  atfork_foreach(count_hook, &count);
  return count;
}

/* ---- Several states in one thread ---- */

static void trace_c(void *letter) {
  strncat(trace, letter, sizeof trace - strlen(trace) - 1);
}

static void test_states_and_c_are_in_one_order(void) {
  lua_State *a = open_state(), *b = open_state();
  run(a,
      "atfork = require 'atfork'; atfork.register{priority = 1, prepare = function() trace 'a' end, child = function() "
      "trace 'A' end}");
  atfork_id id = atfork_register(
      &(struct atfork_hook){.priority = 2, .prepare = trace_c, .child = trace_c, .data = (char[]){"c"}});
  run(b,
      "atfork = require 'atfork'; atfork.register{priority = 3, prepare = function() trace 'b' end, child = function() "
      "trace 'B' end}");
  run(a, "atfork.register{priority = 4, prepare = function() trace 'd' end, child = function() trace 'D' end}");
  trace[0] = 0;
  run(a, "local pid = fork() if pid == 0 then expect 'dbcaAcBD' end assert(wait(pid))");
  g_assert_cmpstr(trace, ==, "dbca");
  g_assert_cmpint(hooks(), ==, 4);
  lua_close(b);
  g_assert_cmpint(hooks(), ==, 3);
  trace[0] = 0;
  run(a, "local pid = fork() if pid == 0 then expect 'dcaAcD' end assert(wait(pid))");
  lua_close(a);
  g_assert_cmpint(hooks(), ==, 1);
  atfork_unregister(id);
}

static void ran_at_once(void) {
  child_check(strcmp(trace, "pc") == 0);
}

static void test_idle_state_of_the_only_thread(void) {
  lua_State *L = open_state();
  run(L, "require 'atfork'.register{prepare = function() trace 'p' end, child = function() trace 'c' end}");
  trace[0] = 0;
  in_child(fork, ran_at_once);
  lua_close(L);
}

/* Where the main coroutine is not known, a hook may wait, until that has called the module. */
static void test_loaded_in_a_coroutine(void) {
  lua_State *L = open_state();
  lua_State *thread = lua_newthread(L);
  luaL_loadstring(thread,
                  "atfork = require 'atfork'; atfork.register{prepare = function() trace 'p' end, child = function() "
                  "trace 'c' end}");
  resume(thread, L);
  run(L, "function check(wanted) local pid = fork() if pid == 0 then expect(wanted) end assert(wait(pid)) end");
  trace[0] = 0;
  run(L, "check(jit and 'c' or 'pc')");
  run(L, "atfork.generation()");
  trace[0] = 0;
  run(L, "check 'pc'");
  lua_close(L);
}

static void *nothing(void *unused) {
  return unused;
}

static void start_thread(void *unused) {
  pthread_t thread;
  (void)unused;
  g_assert_cmpint(pthread_create(&thread, NULL, nothing, NULL), ==, 0);
  pthread_join(thread, NULL);
}

/* In a child, as from then on its process has had two. */
static void fork_where_a_parent_starts_a_thread(void) {
  lua_State *L = open_state();
  run(L, "require 'atfork'.register{prepare = function() trace 'p' end, parent = function() trace 'q' end}");
  atfork_register(&(struct atfork_hook){.parent = start_thread, .priority = -1});
  trace[0] = 0;
  in_child(fork, child_passes);
  child_check(strcmp(trace, "pq") == 0);
}

static void test_a_parent_that_starts_a_thread(void) {
  in_child(fork, fork_where_a_parent_starts_a_thread);
}

static void test_closes_with_hooks_left(void) {
  for (int i = 0; i < 100; i++) {
    lua_State *L = open_state();
    run(L, "local atfork = require 'atfork' for i = 1, 100 do atfork.register{name = 'n' .. i, child = print} end");
    run(L, "require 'atfork'.register_after_fork(require 'atfork'.symbol(nil, 'abort'))");
    g_assert_cmpint(hooks(), ==, 101);
    lua_close(L);
    g_assert_cmpint(hooks(), ==, 0);
  }
  in_child(fork, child_passes);
}

static void test_calls_while_it_closes(void) {
  lua_State *L = open_state();
  run(L,
      "local function made(f) if newproxy then local p = newproxy(true) getmetatable(p).__gc = f return p end\n"
      "  return setmetatable({}, {__gc = f}) end\n"
      "early = made(function() local ok, why = pcall(atfork.register_after_fork, print)\n"
      "  trace(ok and 'registered' or why) atfork.generation() atfork.poll() assert(atfork.hooks())\n"
      "  hook:unregister() end)\n"
      "atfork = require 'atfork' hook = atfork.register_after_fork(print)\n"
      "late = made(function() assert(hook:unregister()) end)");
  trace[0] = 0;
  lua_close(L);
  g_assert_cmpint(hooks(), ==, 0);
  g_assert_true(strcmp(trace, "registered") == 0 || strstr(trace, "being closed") != NULL);
}

/* ---- Values of per_process() ---- */

/* It makes letters that say which generation made them: p, c, g. */
static lua_State *open_with_value(const char *options) {
  char script[512];
  lua_State *L = open_state();
  g_snprintf(script, sizeof script,
             "atfork = require 'atfork'\n"
             "local function make()\n"
             "  local letter = ('pcg'):sub(atfork.generation() + 1, atfork.generation() + 1)\n"
             "  return {resource(letter), {inner = resource(letter)}}\n"
             "end\n"
             "value = atfork.per_process(make%s)\n"
             "table.insert(value(), resource 'p')\n"
             "function collect() collectgarbage() collectgarbage() end",
             options);
  run(L, script);
  trace[0] = 0;
  return L;
}

/* Forks, runs the script in the child, closes the state there, and expects the trace, in any order of letters. */
static void closes_in_child(lua_State *L, pid_t (*way)(void), const char *script, int p, int c, int g) {
  pid_t pid = way();
  if (pid == 0) {
    run(L, script);
    lua_close(L);
    int counts[3] = {0};
    for (const char *at = trace; *at != 0; at++) counts[*at == 'p' ? 0 : *at == 'c' ? 1 : 2]++;
    child_check_int(counts[0], ==, p);
    child_check_int(counts[1], ==, c);
    child_check_int(counts[2], ==, g);
    child_passes();
  }
  expect_passed(pid);
}

static void test_a_value_of_the_parent_is_left_alone(void) {
  lua_State *L = open_with_value("");
  closes_in_child(L, fork, "", 0, 0, 0);
  closes_in_child(L, fork, "collect() value() collect()", 0, 2, 0);
  closes_in_child(L, fork, "value = nil collect()", 0, 0, 0);
  closes_in_child(L, fork, "value() value = nil collect()", 0, 2, 0);
  closes_in_child(L, fork, "local mine = value() value = nil collect() assert(mine[2].inner)", 0, 2, 0);
  closes_in_child(L, fork_by_syscall, "collect() value() collect()", 0, 2, 0);
  closes_in_child(L, fork_by_syscall, "atfork.poll() value = nil collect()", 0, 0, 0);
  g_assert_cmpstr(trace, ==, "");
  lua_close(L);
  g_assert_cmpstr(trace, ==, "ppp");
}

static void test_a_value_of_the_parents_parent_is_left_alone(void) {
  lua_State *L = open_with_value("");
  pid_t pid = fork();
  if (pid == 0) {
    run(L, "value() collect()");
    closes_in_child(L, fork, "", 0, 0, 0);
    closes_in_child(L, fork, "value() collect()", 0, 0, 2);
    closes_in_child(L, fork, "value = nil collect()", 0, 0, 0);
    lua_close(L);
    child_check(strcmp(trace, "cc") == 0);
    child_passes();
  }
  expect_passed(pid);
  lua_close(L);
}

/* The child that is forked while the parent has no value has none to keep; nor has one that asks before the parent. */
static void test_a_value_that_nobody_holds_is_finalised_by_its_maker(void) {
  lua_State *L = open_with_value("");
  run(L, "value = nil collect()");
  g_assert_cmpstr(trace, ==, "ppp");
  trace[0] = 0;
  closes_in_child(L, fork, "collect()", 0, 0, 0);
  lua_close(L);
}

static void test_discard(void) {
  lua_State *L = open_with_value(", {discard = function(old) discarded = (discarded or 0) + #old end}");
  closes_in_child(L, fork, "", 0, 0, 0);
  closes_in_child(L, fork, "value() value() assert(discarded == 3)", 3, 2, 0);
  closes_in_child(L, fork, "collect() value() collect() local keep = value() collect()", 3, 2, 0);
  run(L, "assert(not discarded)");
  lua_close(L);
  g_assert_cmpstr(trace, ==, "ppp");
}

static void test_an_error_in_discard(void) {
  lua_State *L = open_with_value(", {discard = function() error('no', 0) end}");
  closes_in_child(L, fork,
                  "atfork.on_error = function(...) seen = {...} end\n"
                  "value() assert(seen[1] == 'no' and seen[2] == nil and seen[3] == 'discard')",
                  3, 2, 0);
  lua_close(L);
}

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
  /* Below /scenario are ids of test/scenarios.md.  In this order: those before the threads have a process with one. */
  g_test_add_func("/scenario/interpreters", test_states_and_c_are_in_one_order);
  g_test_add_func("/host/idle-state-of-the-only-thread", test_idle_state_of_the_only_thread);
  g_test_add_func("/host/loaded-in-a-coroutine", test_loaded_in_a_coroutine);
  g_test_add_func("/host/a-parent-that-starts-a-thread", test_a_parent_that_starts_a_thread);
  g_test_add_func("/scenario/end-finalises", test_closes_with_hooks_left);
  g_test_add_func("/host/calls-while-it-closes", test_calls_while_it_closes);
  g_test_add_func("/scenario/value-untouched", test_a_value_of_the_parent_is_left_alone);
  g_test_add_func("/scenario/value-of-grandparent", test_a_value_of_the_parents_parent_is_left_alone);
  g_test_add_func("/scenario/value-of-its-own", test_a_value_that_nobody_holds_is_finalised_by_its_maker);
  g_test_add_func("/scenario/discard-once", test_discard);
  g_test_add_func("/scenario/discard-error", test_an_error_in_discard);
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
