/* SPDX-License-Identifier: MIT */
/* Promise 8: any fork is noticed, and nothing else is taken for one. */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forks.h"
#include "pid_name.h"

static int ran;

static void count(void *unused) {
  (void)unused;
  ran++;
}

static void must_not_run(void *unused) {
  (void)unused;
  abort();
}

/* ---- Generation and poll ---- */

static uint64_t expected_generation;

static void is_one_deeper(void) {
  child_check_int(atfork_generation(), ==, expected_generation + 1);
  child_check_int((atfork_generation)(), ==, expected_generation + 1);
}

static void test_generation_at_once(void) {
  expected_generation = atfork_generation();
  for (size_t i = 0; i < ways_count; i++) {
    in_child(ways[i].fork, is_one_deeper);
    g_assert_cmpuint(atfork_generation(), ==, expected_generation);
  }
}

/* No prepare and no parent, as nobody told them; the child hooks when polled, and not before. */
static void polls_once(void) {
  child_check_int(atfork_generation(), ==, 1);
  child_check_int(ran, ==, 0);
  child_check_int(atfork_poll(), ==, 2);
  child_check_int(ran, ==, 2);
  child_check_int(atfork_poll(), ==, 0);
}

static void test_poll_runs_what_was_missed(void) {
  ran = 0;
  atfork_register(&(struct atfork_hook){.prepare = must_not_run, .parent = must_not_run, .child = count});
  atfork_register_after_fork(count, NULL);
  for (size_t i = 0; i < ways_count; i++)
    if (ways[i].bypasses) in_child(ways[i].fork, polls_once);
  g_assert_cmpint(atfork_poll(), ==, 0);
  g_assert_cmpint(ran, ==, 0);
  unregister_all();
}

static bool prepared;

static void missed_come_first(void *unused) {
  (void)unused;
  prepared = true;
  child_check_int(ran, ==, 1);
}

static void grandchild(void) {
  child_check_int(ran, ==, 2);
  child_check_int(atfork_generation(), ==, 2);
  child_check_int(atfork_poll(), ==, 0);
}

/* Without a call of the library in between. */
static void forks_before_polling(void) {
  in_child(fork, grandchild);
  child_check(prepared);
  child_check_int(ran, ==, 1);
  child_check_int(atfork_poll(), ==, 0);
}

static void test_next_fork_runs_what_was_missed(void) {
  ran = 0;
  atfork_id id = atfork_register_after_fork(count, NULL);
  atfork_id watcher = 0;
  for (size_t i = 0; i < ways_count; i++) {
    if (!ways[i].bypasses) continue;
    pid_t pid = ways[i].fork();
    if (pid == 0) {
      /* Registered here: it takes part in the next fork, not in the one that made this process. */
      watcher = atfork_register(&(struct atfork_hook){.prepare = missed_come_first});
      child_check_int(watcher, !=, 0);
      forks_before_polling();
      child_passes();
    }
    expect_passed(pid);
  }
  atfork_unregister(id);
}

static void never_looked(void) {
  in_child(fork_by_syscall, is_one_deeper);
}

static void test_unseen_depth_counts_one(void) {
  expected_generation = 0;
  in_child(fork_by_syscall, never_looked);
}

static void unregisters_before_polling(void) {
  unregister_all();
  child_check_int(atfork_poll(), ==, 0);
  child_check_int(ran, ==, 0);
}

static void test_unregistered_before_polling(void) {
  ran = 0;
  atfork_register_after_fork(count, NULL);
  in_child(fork_by_clone, unregisters_before_polling);
  unregister_all();
}

/* A child that is made inside a visitor, which is a walk but no fork. */
static void polls_once_inside(void) {
  child_check_int(atfork_poll(), ==, 1);
  child_check_int(ran, ==, 1);
  child_check_int(atfork_poll(), ==, 0);
}

static int fork_in_visit(const struct atfork_info *info, void *way) {
  (void)info;
  in_child(((const struct way *)way)->fork, polls_once_inside);
  return 0;
}

static void test_inside_a_visitor(void) {
  ran = 0;
  atfork_id id = atfork_register_after_fork(count, NULL);
  for (size_t i = 0; i < ways_count; i++)
    if (ways[i].bypasses) g_assert_cmpint(atfork_foreach(fork_in_visit, (void *)(uintptr_t)&ways[i]), ==, 0);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

/* ---- Lineage ---- */

static void lineage_is_by_pid(void) {
  char lineage[64];
  child_check_int(atfork_lineage(lineage, sizeof lineage), ==, (int)strlen(lineage));
  child_check(is_pid_after("0", lineage));
}

static void test_lineage_of_a_bypassing_child(void) {
  for (size_t i = 0; i < ways_count; i++)
    if (ways[i].bypasses) in_child(ways[i].fork, lineage_is_by_pid);
}

/* ---- A child that is made inside a callback ---- */

/* The fork around is not the one that made it. */
static void is_its_parents_child(void) {
  char lineage[64];
  atfork_lineage(lineage, sizeof lineage);
  child_check(is_pid_after("0", lineage));
  child_check_int(atfork_poll(), ==, 1);
  child_check_int(ran, ==, 1);
}

static void make_child(void *way) {
  ran = 0;
  in_child(((const struct way *)way)->fork, is_its_parents_child);
}

static void check_inside(struct atfork_hook maker) {
  for (size_t i = 0; i < ways_count; i++) {
    if (!ways[i].bypasses) continue;
    maker.data = (void *)(uintptr_t)&ways[i];
    atfork_id id = atfork_register_after_fork(count, NULL);
    atfork_id maker_id = atfork_register(&maker);
    in_child(fork, child_passes);
    g_assert_cmpint(atfork_unregister(maker_id), ==, 0);
    g_assert_cmpint(atfork_unregister(id), ==, 0);
  }
}

static void test_inside_a_callback(void) {
  check_inside((struct atfork_hook){.prepare = make_child});
  check_inside((struct atfork_hook){.parent = make_child});
}

/* ---- A child that never was looked at, with threads that were busy ---- */

static void whole_api(void) {
  char text[64];
  child_check_int(atfork_poll(), ==, 1);
  for (int i = 0; i < 100; i++) {
    atfork_id id = atfork_register_after_fork(count, NULL);
    child_check_int(id, !=, 0);
    child_check_int(atfork_unregister(id), ==, 0);
  }
  child_check_int(atfork_lineage(text, sizeof text), >, 0);
  in_child(fork, child_passes);
}

static bool stop;

/* With hooks that have no child callback, as a child may inherit them and count what it polls. */
static void *keep_busy(void *unused) {
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    atfork_id id = atfork_register(&(struct atfork_hook){.parent = count});
    if (atfork_unregister(id) != 0) abort();
  }
  return unused;
}

static void test_while_other_threads_update(void) {
  pthread_t threads[2];
  ran = 0;
  stop = false;
  atfork_register_after_fork(count, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_create(&threads[i], NULL, keep_busy, NULL);
  for (int i = 0; i < rounds(300); i++) in_child(ways[1 + i % 3].fork, whole_api);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_join(threads[i], NULL);
  unregister_all();
}

/* ---- What is not a fork ---- */

static void *look(void *unused) {
  g_assert_cmpuint(atfork_generation(), ==, 0);
  g_assert_cmpint(atfork_poll(), ==, 0);
  return unused;
}

static void refuse(void) {
  atfork_register(&(struct atfork_hook){.prepare = must_not_run, .parent = must_not_run, .child = must_not_run});
}

static void expect_untouched(void) {
  char lineage[8];
  g_assert_cmpuint(atfork_generation(), ==, 0);
  g_assert_cmpint(atfork_poll(), ==, 0);
  atfork_lineage(lineage, sizeof lineage);
  g_assert_cmpstr(lineage, ==, "0");
  unregister_all();
}

static void test_vfork_is_not(void) {
  refuse();
  /* vfork() is what is tested. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  pid_t pid = vfork();
#pragma GCC diagnostic pop
  if (pid == 0) {
    /* Shares its parent's memory, so it is still that process to the library; but not where that compares pids. */
    _exit(!pages_are_wiped || (atfork_generation() == 0 && atfork_poll() == 0) ? CHILD_PASSED : 1);
  }
  expect_passed(pid);
  expect_untouched();
}

static void test_posix_spawn_is_not(void) {
  pid_t pid;
  static char shell[] = "sh", option[] = "-c", command[] = "exit 42";
  char *const argv[] = {shell, option, command, NULL};
  refuse();
  g_assert_cmpint(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, NULL), ==, 0);
  expect_passed(pid);
  g_assert_cmpint(WEXITSTATUS(system("exit 3")), ==, 3);
  expect_untouched();
}

static void test_thread_is_not(void) {
  pthread_t thread;
  refuse();
  pthread_create(&thread, NULL, look, NULL);
  pthread_join(thread, NULL);
  expect_untouched();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/bypass/generation-at-once", test_generation_at_once);
  g_test_add_func("/bypass/poll-runs-what-was-missed", test_poll_runs_what_was_missed);
  g_test_add_func("/bypass/next-fork-runs-what-was-missed", test_next_fork_runs_what_was_missed);
  g_test_add_func("/bypass/unseen-depth-counts-one", test_unseen_depth_counts_one);
  g_test_add_func("/bypass/unregistered-before-polling", test_unregistered_before_polling);
  g_test_add_func("/bypass/inside-a-visitor", test_inside_a_visitor);
  g_test_add_func("/bypass/inside-a-callback", test_inside_a_callback);
  g_test_add_func("/bypass/lineage", test_lineage_of_a_bypassing_child);
  /* With ThreadSanitizer a bypassing child inherits its locks, and it takes the parent's threads for the child's. */
#ifdef __SANITIZE_THREAD__
  (void)test_while_other_threads_update;
#else
  add_race("/bypass/while-other-threads-update", test_while_other_threads_update);
#endif
  if (has_vfork()) g_test_add_func("/bypass/vfork-is-not-a-fork", test_vfork_is_not);
  g_test_add_func("/bypass/posix_spawn-is-not-a-fork", test_posix_spawn_is_not);
  g_test_add_func("/bypass/thread-is-not-a-fork", test_thread_is_not);
  return g_test_run();
}
