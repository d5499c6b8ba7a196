/* SPDX-License-Identifier: MIT */
/* Values of atfork.per_process(): a parent's is neither closed nor finalised in a child, unless the script says how. */
#include <glib.h>
#include <lua.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"
#include "states.h"

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

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  /* Below /scenario are ids of test/scenarios.md. */
  g_test_add_func("/scenario/value-untouched", test_a_value_of_the_parent_is_left_alone);
  g_test_add_func("/scenario/value-of-grandparent", test_a_value_of_the_parents_parent_is_left_alone);
  g_test_add_func("/scenario/value-of-its-own", test_a_value_that_nobody_holds_is_finalised_by_its_maker);
  g_test_add_func("/scenario/discard-once", test_discard);
  g_test_add_func("/scenario/discard-error", test_an_error_in_discard);
  return g_test_run();
}
