/* SPDX-License-Identifier: MIT */
/*
 * A program that has several Lua states in its one thread: their hooks have one order, and each is unregistered when
 * its state closes.
 */
#include <atfork.h>
#include <glib.h>
#include <lauxlib.h>
#include <lua.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"
#include "states.h"

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

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  /* Below /scenario are ids of test/scenarios.md. */
  g_test_add_func("/scenario/interpreters", test_states_and_c_are_in_one_order);
  g_test_add_func("/host/idle-state-of-the-only-thread", test_idle_state_of_the_only_thread);
  g_test_add_func("/host/loaded-in-a-coroutine", test_loaded_in_a_coroutine);
  g_test_add_func("/host/a-parent-that-starts-a-thread", test_a_parent_that_starts_a_thread);
  g_test_add_func("/scenario/end-finalises", test_closes_with_hooks_left);
  g_test_add_func("/host/calls-while-it-closes", test_calls_while_it_closes);
  return g_test_run();
}
