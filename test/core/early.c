/* SPDX-License-Identifier: MIT */
/* Promises 3 and 8: another library's fork handlers, added before ours, use the library in the child before ours run.
 */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"

static int ran, added_ran;

/* ---- What the early handler does in the child ---- */

static void looks(void) {
  child_check_int(atfork_generation(), ==, 1);
}
static void polls(void) {
  child_check_int(atfork_poll(), ==, 0);
  child_check_int(ran, ==, 0);
}
static void registers(void) {
  child_check_int(atfork_register_after_fork(increment, &added_ran), !=, 0);
}
static void unregisters(void) {
  atfork_id id = atfork_register_after_fork(nothing, NULL);
  child_check_int(atfork_unregister(id), ==, 0);
}

static void (*early_action)(void), (*late_action)(void);

static void on_child(void) {
  if (early_action != NULL) early_action();
}

/* Prepare handlers run in the reverse order: after ours. */
static void on_prepare(void) {
  if (late_action != NULL) late_action();
}

/* Its child is one level deeper, and the hooks have run there. */
static void is_deeper(void) {
  child_check_int(atfork_generation(), ==, 2);
  child_check_int(ran, ==, 1);
  child_check_int(atfork_poll(), ==, 0);
}
static void forks(void) {
  early_action = NULL;
  in_child(fork, is_deeper);
}

/* Its child comes back from it, and has the rest of this fork's handlers called: all ran there already. */
static void forks_and_returns(void) {
  early_action = NULL;
  pid_t pid = fork();
  g_assert_cmpint(pid, >=, 0);
  if (pid > 0) expect_passed(pid);
}

/* What it had unregistered before is prepared still, and passed over in that child's own phase. */
static atfork_id dropped;
static int dropped_ran;

static void unregisters_and_forks(void) {
  child_check_int(atfork_unregister(dropped), ==, 0);
  forks_and_returns();
}

static void dropped_has_run(void) {
  child_check_int(dropped_ran, ==, 1);
}

/* ---- And then all is as ever ---- */

static void ran_once_more(void) {
  child_check_int(ran, ==, 2);
}

static char wanted[64];

static void is_as_ever(void) {
  char lineage[64];
  if (atfork_generation() == 2) is_deeper();
  if (atfork_generation() == 2) child_passes();
  atfork_lineage(lineage, sizeof lineage);
  if (strcmp(lineage, wanted) != 0) child_fails(__FILE__, __LINE__, lineage);
  child_check_int(atfork_generation(), ==, 1);
  child_check_int(ran, ==, 1);
  child_check_int(added_ran, ==, 0);
  child_check_int(atfork_poll(), ==, 0);
  early_action = NULL;
  in_child(fork, ran_once_more);
}

static void check(void (*action)(void)) {
  static int number;
  ran = 0;
  snprintf(wanted, sizeof wanted, "0.%d", ++number);
  early_action = action;
  in_child(fork, is_as_ever);
  early_action = NULL;
}

static void test_looks(void) {
  check(looks);
}
static void test_polls(void) {
  check(polls);
}
static void test_registers(void) {
  check(registers);
}
static void test_unregisters(void) {
  check(unregisters);
}
static void test_forks(void) {
  check(forks);
}

static void test_forks_and_returns(void) {
  check(forks_and_returns);
}

static void test_unregisters_and_forks(void) {
  dropped = atfork_register(&(struct atfork_hook){.parent = nothing, .child = increment, .data = &dropped_ran});
  early_action = unregisters_and_forks;
  in_child(fork, dropped_has_run);
  early_action = NULL;
  g_assert_cmpint(atfork_unregister(dropped), ==, 0);
}

/* The same in the child of a fork that a process makes which was itself forked in the preparation of that. */
static bool is_first;

static void prepare_deeper(void *unused) {
  pid_t here = getpid();
  (void)unused;
  if (!is_first) return;
  is_first = false;
  forks_and_returns();
  if (getpid() == here) return;
  child_check_int(atfork_unregister(dropped), ==, 0);
  dropped_ran = 0;
  early_action = forks_and_returns;
}

static void prepare_and_fork(void) {
  pid_t here = getpid();
  dropped = atfork_register(&(struct atfork_hook){.parent = nothing, .child = increment, .data = &dropped_ran});
  child_check_int(atfork_register(&(struct atfork_hook){.prepare = prepare_deeper}), !=, 0);
  dropped_ran = 0;
  is_first = true;
  in_child(fork, dropped_has_run);
  if (getpid() != here) child_passes();
}

static void test_unregisters_in_preparation_and_forks(void) {
  in_child(fork, prepare_and_fork);
}

/* The other library forks before the fork, and again in the child of that: each child comes back, and goes on with what
 * its parent was at. */
static int inner_prepares;
static pid_t ran_in;

static void unregister_in_the_inner(void *unused) {
  (void)unused;
  if (++inner_prepares == 2) child_check_int(atfork_unregister(dropped), ==, 0);
}

static void forks_and_returns_twice(void) {
  late_action = NULL;
  forks_and_returns();
  early_action = forks_and_returns;
}

static void note_process(void *unused) {
  (void)unused;
  ran_in = getpid();
}

static void has_run_here(void) {
  child_check_int(ran_in, ==, getpid());
}

/* In each of these processes the hook was prepared, for the fork that comes last. */
static void forked_twice(void) {
  pid_t here = getpid();
  inner_prepares = 0;
  dropped = atfork_register(&(struct atfork_hook){.prepare = unregister_in_the_inner, .child = note_process});
  late_action = forks_and_returns_twice;
  in_child(fork, has_run_here);
  if (getpid() != here) child_passes();
}

static void test_forks_before_and_after(void) {
  in_child(fork, forked_twice);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  /* Child handlers run in the order in which they were added. */
  if (pthread_atfork(on_prepare, NULL, on_child) != 0) return 1;
  atfork_register_after_fork(increment, &ran);
  g_test_add_func("/early/looks", test_looks);
  g_test_add_func("/early/polls", test_polls);
  g_test_add_func("/early/registers", test_registers);
  g_test_add_func("/early/unregisters", test_unregisters);
  g_test_add_func("/early/forks", test_forks);
  g_test_add_func("/early/forks-and-returns", test_forks_and_returns);
  g_test_add_func("/early/unregisters-and-forks", test_unregisters_and_forks);
  g_test_add_func("/early/unregisters-in-preparation-and-forks", test_unregisters_in_preparation_and_forks);
  g_test_add_func("/early/forks-before-and-after", test_forks_before_and_after);
  return g_test_run();
}
