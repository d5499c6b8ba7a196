/* SPDX-License-Identifier: MIT */
/* Promise 17: tokens carry the run on; and a token's holder can make tokens for children that it has not forked. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "numbered.h"

/* ---- Tokens ---- */

/* This process's run goes with them. */
static void test_token_carries_the_run(void) {
  char token[ROOM], run_text[ROOM];
  g_assert_cmpint(atfork_token(token, sizeof token), >, 0);
  g_snprintf(run_text, sizeof run_text, "%016" PRIx64, atfork_run());
  g_assert_true(strstr(token, run_text) != NULL);
  char *out = run_of_spawned(token);
  g_assert_cmpstr(out, ==, run_text);
  free(out);
}

static void test_token_of_an_adopted(void) {
  static const char *const set[] = {"ATFORK_RUN=0x1234", NULL};
  char **lines = run_quiet_worker("3", set);
  char *out = run_of_spawned(lines[TOKEN]);
  g_assert_cmpstr(out, ==, "0000000000001234");
  free(out);
  free(lines);
}

/* ---- Tokens of a token's children ---- */

static void test_child_token(void) {
  char parent[ROOM], first[ROOM], again[ROOM], grandchild[ROOM];
  atfork_token(parent, sizeof parent);
  int length = atfork_child_token(parent, 1, first, sizeof first);
  g_assert_cmpint(length, ==, (int)strlen(first));
  g_assert_cmpint(atfork_child_token(parent, 1, again, sizeof again), ==, length);
  g_assert_cmpstr(again, ==, first);
  g_assert_cmpint(atfork_child_token(parent, UINT64_MAX, again, sizeof again), >, length);
  g_assert_true(strstr(again, ".18446744073709551615:") != NULL);
  g_assert_cmpint(atfork_child_token(first, 22, grandchild, sizeof grandchild), ==, length + 3);
  g_assert_true(strstr(grandchild, ":3:0.") != NULL && strstr(grandchild, ".1.22:") != NULL);
  g_assert_cmpint(atfork_child_token(parent, 1, NULL, 0), ==, length);
  g_assert_cmpint(atfork_child_token(parent, 1, again, 8), ==, length);
  g_assert_cmpint((int)strlen(again), ==, 7);
}

static void expect_no_child(const char *token, uint64_t n, char *buf, size_t size) {
  errno = 0;
  g_assert_cmpint(atfork_child_token(token, n, buf, size), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
}

static void test_child_token_of_nothing(void) {
  char parent[ROOM], child[ROOM];
  atfork_token(parent, sizeof parent);
  expect_no_child(NULL, 1, child, sizeof child);
  expect_no_child("", 1, child, sizeof child);
  expect_no_child("atfork1:3:0.1:1c29e690bffbbefb", 1, child, sizeof child);
  expect_no_child(parent, 0, child, sizeof child);
  expect_no_child(parent, 1, NULL, 1);
  parent[strlen(parent) - 1] ^= 1;
  expect_no_child(parent, 1, child, sizeof child);
}

int main(int argc, char **argv) {
  int status;
  if (is_worker(argc, argv, &status)) return status;
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/adopted-token/token-carries-the-run", test_token_carries_the_run);
  g_test_add_func("/adopted-token/token-of-an-adopted", test_token_of_an_adopted);
  g_test_add_func("/adopted-token/child-token", test_child_token);
  g_test_add_func("/adopted-token/child-token-of-nothing", test_child_token_of_nothing);
  return g_test_run();
}
