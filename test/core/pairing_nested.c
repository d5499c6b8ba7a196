/* SPDX-License-Identifier: MIT */
/* Promise 2: each fork has its own three phases, also where a callback of another fork makes it. */
#include <atfork.h>
#include <glib.h>
#include <unistd.h>

#include "counts.h"
#include "forks.h"

/* ---- Forks inside callbacks ---- */

static int forks_left;

/* In the inner child, its own fork is balanced, and the outer one goes on. */
static void inner_is_paired(void) {
  child_check_int(one.prepared, ==, 2);
  child_check_int(one.parented, ==, 0);
  child_check_int(one.childed, ==, 1);
}

static void fork_inside(void *unused) {
  (void)unused;
  if (forks_left-- == 1) in_child(fork, inner_is_paired);
}

static void is_balanced(void) {
  child_check_int(one.childed, ==, 1);
  child_check_int(one.prepared, ==, one.parented + one.childed);
}

static void check_nested(struct atfork_hook forker) {
  start();
  forks_left = 1;
  one_id = add(&one);
  atfork_id id = atfork_register(&forker);
  in_child(fork, is_balanced);
  expect(one, 2, 2, 0);
  atfork_unregister(id);
  unregister_all();
}

/* At a time when the other hook has been prepared for the outer fork, and not yet paired. */
static void test_fork_in_prepare(void) {
  check_nested((struct atfork_hook){.priority = -1, .prepare = fork_inside});
}

static void test_fork_in_parent(void) {
  check_nested((struct atfork_hook){.priority = -1, .parent = fork_inside});
}

/* ---- Unregistered by a callback that then forks ---- */

static void has_part_inside(void) {
  child_expect(one, 2, 0, 1);
  child_check_int(one.destroyed, ==, 0);
}

static void drop_one_and_fork(void *unused) {
  (void)unused;
  atfork_id id = one_id;
  one_id = 0;
  if (id == 0) return; /* in the fork inside */
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  in_child(fork, has_part_inside);
}

static void one_got_the_rest(void) {
  child_expect(one, 2, 1, 1);
  child_check_int(one.destroyed, ==, 1);
}

/* It has part in the fork inside, as in the rest of the one around. */
static void test_fork_after_unregistering(void) {
  start();
  one_id = add(&one);
  add(&two);
  atfork_register(&(struct atfork_hook){.priority = -1, .prepare = drop_one_and_fork});
  in_child(fork, one_got_the_rest);
  expect(one, 2, 2, 0);
  expect(two, 2, 2, 0);
  g_assert_cmpint(one.destroyed, ==, 1);
  unregister_all();
}

/* ---- Forks inside callbacks, 64 deep ---- */

enum { DEEP = 64 };

/* The forks that this one is inside of have not come to their end here. */
static void one_childed(void) {
  child_check_int(one.childed, ==, 1);
}

static void fork_deeper(void *unused) {
  (void)unused;
  if (forks_left-- > 0) in_child(fork, one_childed);
}

static void check_deep(struct atfork_hook forker) {
  start();
  forks_left = DEEP;
  one_id = add(&one);
  atfork_id id = atfork_register(&forker);
  in_child(fork, is_balanced);
  g_assert_cmpint(forks_left, <, 0);
  expect(one, DEEP + 1, DEEP + 1, 0);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  g_assert_cmpint(atfork_unregister(one_id), ==, 0);
  g_assert_cmpint(one.destroyed, ==, 1);
}

static void test_deep_in_prepare(void) {
  check_deep((struct atfork_hook){.priority = -1, .prepare = fork_deeper});
}
static void test_deep_in_parent(void) {
  check_deep((struct atfork_hook){.priority = -1, .parent = fork_deeper});
}

static void fork_deeper_in_child(void *unused) {
  (void)unused;
  if (atfork_generation() <= DEEP) in_child(fork, child_passes);
  child_check_int(one.childed, ==, atfork_generation());
}

static void test_deep_in_child(void) {
  start();
  one_id = add(&one);
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = 1, .child = fork_deeper_in_child});
  in_child(fork, child_passes);
  expect(one, 1, 1, 0);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  g_assert_cmpint(atfork_unregister(one_id), ==, 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/pairing-nested/fork-in-prepare", test_fork_in_prepare);
  g_test_add_func("/pairing-nested/fork-in-parent", test_fork_in_parent);
  g_test_add_func("/pairing-nested/fork-after-unregistering", test_fork_after_unregistering);
  g_test_add_func("/pairing-nested/deep-in-prepare", test_deep_in_prepare);
  g_test_add_func("/pairing-nested/deep-in-parent", test_deep_in_parent);
  g_test_add_func("/pairing-nested/deep-in-child", test_deep_in_child);
  return g_test_run();
}
