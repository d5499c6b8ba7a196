/* SPDX-License-Identifier: MIT */
/* Promise 2: a fork's hooks are those registered when it begins, for all three phases. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "counts.h"
#include "forks.h"

/* ---- Registered while a fork is under way ---- */

static void add_two(void *unused) {
  (void)unused;
  if (two_id == 0) two_id = add(&two);
}

static void two_has_not_run(void) {
  child_expect(two, 0, 0, 0);
}

static void two_has_run_once(void) {
  child_expect(two, 1, 0, 1);
}

static void check_joins_next_fork(const struct atfork_hook *adder, void (*check_first)(void)) {
  start();
  atfork_id id = atfork_register(adder);
  in_child(fork, check_first);
  expect(two, 0, 0, 0);
  atfork_unregister(id);
  if (two_id == 0) return;
  in_child(fork, two_has_run_once);
  expect(two, 1, 1, 0);
  unregister_all();
}

static void test_registered_in_prepare(void) {
  check_joins_next_fork(&(struct atfork_hook){.prepare = add_two}, two_has_not_run);
  check_joins_next_fork(&(struct atfork_hook){.priority = -1, .prepare = add_two}, two_has_not_run);
  check_joins_next_fork(&(struct atfork_hook){.priority = 1, .prepare = add_two}, two_has_not_run);
}

static void test_registered_in_parent(void) {
  check_joins_next_fork(&(struct atfork_hook){.priority = -1, .parent = add_two}, two_has_not_run);
}

static void two_joins_next_fork(void) {
  child_expect(two, 0, 0, 0);
  child_check_int(atfork_unregister(one_id), ==, 0);
  in_child(fork, two_has_run_once);
  child_expect(two, 1, 1, 0);
}

static void test_registered_in_child(void) {
  start();
  one_id = atfork_register(&(struct atfork_hook){.priority = -1, .child = add_two});
  in_child(fork, two_joins_next_fork);
  expect(two, 0, 0, 0);
  unregister_all();
}

/* ---- Unregistered while a fork is under way ---- */

static void drop_two(void *unused) {
  (void)unused;
  if (two_id != 0) g_assert_cmpint(atfork_unregister(two_id), ==, 0);
  two_id = 0;
}

static void two_got_the_rest(void) {
  child_expect(two, 1, 0, 1);
  child_check_int(two.destroyed, ==, 1);
}

static void two_is_gone(void) {
  child_expect(two, 1, 1, 0);
}

static void two_ran_in_the_child(void) {
  child_expect(two, 1, 0, 1);
  child_check_int(two.destroyed, ==, 0);
}

static void check_gets_the_rest(struct atfork_hook dropper, void (*check)(void), int destroyed) {
  for (int priority = -1; priority <= 1; priority += 2) {
    start();
    dropper.priority = priority;
    two_id = add(&two);
    atfork_id id = atfork_register(&dropper);
    in_child(fork, check);
    expect(two, 1, 1, 0);
    g_assert_cmpint(two.destroyed, ==, destroyed);
    /* And takes part in no later one. */
    if (destroyed) {
      in_child(fork, two_is_gone);
      expect(two, 1, 1, 0);
    }
    atfork_unregister(id);
    unregister_all();
  }
}

static void test_unregistered_in_prepare(void) {
  check_gets_the_rest((struct atfork_hook){.prepare = drop_two}, two_got_the_rest, 1);
}

static void test_unregistered_in_parent(void) {
  check_gets_the_rest((struct atfork_hook){.parent = drop_two}, two_ran_in_the_child, 1);
}

static void test_unregistered_in_child(void) {
  check_gets_the_rest((struct atfork_hook){.child = drop_two}, two_got_the_rest, 0);
}

static void drop_itself(void *counts) {
  ((struct counts *)counts)->prepared++;
  g_assert_cmpint(atfork_unregister(two_id), ==, 0);
  /* Not before the fork ends. */
  g_assert_cmpint(((struct counts *)counts)->destroyed, ==, 0);
}

static void test_unregisters_itself(void) {
  start();
  two_id = atfork_register(&(struct atfork_hook){
      .prepare = drop_itself, .parent = parent, .child = child, .destroy = destroy, .data = &two});
  in_child(fork, two_got_the_rest);
  expect(two, 1, 1, 0);
  g_assert_cmpint(two.destroyed, ==, 1);
  in_child(fork, two_is_gone);
  expect(two, 1, 1, 0);
}

/* Forks inside that begin after it was unregistered have it too, and end before the one that it waits for. */
static int levels;

static void two_was_inside(void) {
  child_expect(two, 3, 2, 1);
  child_check_int(two.destroyed, ==, 1);
}

static void drop_and_fork_twice(void *unused) {
  if (levels == 0) drop_two(unused);
  if (levels++ < 2) in_child(fork, child_passes);
  g_assert_cmpint(two.destroyed, ==, 0);
}

static void test_unregistered_before_inner_forks(void) {
  start();
  levels = 0;
  two_id = add(&two);
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = 1, .prepare = drop_and_fork_twice});
  in_child(fork, two_was_inside);
  expect(two, 3, 3, 0);
  g_assert_cmpint(two.destroyed, ==, 1);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

/* A visit is no fork: what it unregisters takes no part in the forks that it makes. */
static void two_has_no_part(void) {
  child_expect(two, 0, 0, 0);
}

static int drop_two_and_fork(const struct atfork_info *info, void *unused) {
  (void)info;
  drop_two(unused);
  in_child(fork, two_has_no_part);
  return 1;
}

static void test_fork_in_a_visit_after_unregistering(void) {
  start();
  two_id = add(&two);
  g_assert_cmpint(atfork_foreach(drop_two_and_fork, NULL), ==, 1);
  expect(two, 0, 0, 0);
  g_assert_cmpint(two.destroyed, ==, 1);
}

/* ---- Callbacks may do with errno as they like ---- */

static void set_errno(void *unused) {
  (void)unused;
  errno = EDOM;
}

static void errno_is_kept(void) {
  child_check_int(errno, ==, ERANGE);
}

static void test_errno_is_kept(void) {
  static const struct atfork_hook setters[] = {{.prepare = set_errno}, {.parent = set_errno}, {.child = set_errno}};
  for (size_t i = 0; i < G_N_ELEMENTS(setters); i++) {
    atfork_id id = atfork_register(&setters[i]);
    errno = ERANGE;
    pid_t pid = fork();
    if (pid == 0) errno_is_kept();
    if (pid == 0) child_passes();
    g_assert_cmpint(errno, ==, ERANGE);
    expect_passed(pid);
    g_assert_cmpint(atfork_unregister(id), ==, 0);
  }
}

/* ---- In every phase, by another hook, itself, or another thread, registered and unregistered ---- */

static struct atfork_hook transient_hook;
static int transient_balance;

static void raise_balance(void *unused) {
  (void)unused;
  transient_balance++;
}
static void lower_balance(void *unused) {
  (void)unused;
  transient_balance--;
}

static void *come_and_go(void *unused) {
  atfork_id id = atfork_register(&transient_hook);
  if (id == 0 || atfork_unregister(id) != 0) abort();
  return unused;
}

/* It comes inside the fork, so it takes no part; and its unregistering need not wait for this one. */
static void have_a_thread_come_and_go(void *unused) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, come_and_go, NULL) != 0) abort();
  pthread_join(thread, NULL);
  come_and_go(unused);
}

static void transient_is_balanced(void) {
  child_check_int(transient_balance, ==, 0);
}

static void test_others_come_and_go(void) {
  transient_hook = (struct atfork_hook){.prepare = raise_balance, .parent = lower_balance, .child = lower_balance};
  atfork_id id = atfork_register(&(struct atfork_hook){
      .prepare = have_a_thread_come_and_go, .parent = have_a_thread_come_and_go, .child = have_a_thread_come_and_go});
  for (int i = 0; i < 50; i++) in_child(fork, transient_is_balanced);
  g_assert_cmpint(transient_balance, ==, 0);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/pairing/registered-in-prepare", test_registered_in_prepare);
  g_test_add_func("/pairing/registered-in-parent", test_registered_in_parent);
  g_test_add_func("/pairing/registered-in-child", test_registered_in_child);
  g_test_add_func("/pairing/unregistered-in-prepare", test_unregistered_in_prepare);
  g_test_add_func("/pairing/unregistered-in-parent", test_unregistered_in_parent);
  g_test_add_func("/pairing/unregistered-in-child", test_unregistered_in_child);
  g_test_add_func("/pairing/unregisters-itself", test_unregisters_itself);
  g_test_add_func("/pairing/unregistered-before-inner-forks", test_unregistered_before_inner_forks);
  g_test_add_func("/pairing/errno-is-kept", test_errno_is_kept);
  g_test_add_func("/pairing/fork-in-a-visit-after-unregistering", test_fork_in_a_visit_after_unregistering);
  /* ThreadSanitizer ends a child that starts a thread. */
#ifdef __SANITIZE_THREAD__
  (void)test_others_come_and_go;
#else
  g_test_add_func("/pairing/others-come-and-go", test_others_come_and_go);
#endif
  return g_test_run();
}
