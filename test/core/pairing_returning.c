/* SPDX-License-Identifier: MIT */
/* Promises 2 and 3: a hook runs once in each of three processes, whoever unregisters it and when: each child is made
 * inside a callback, returns from it, and goes on with the fork of its parent. */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"

/* ---- Three processes deep, all of which come back: a hook runs once in each, whoever unregisters it and when ---- */

static int visit_nothing(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  return 0;
}

static struct {
  atfork_id id;
  pid_t process;
  int times;
} later;

static void run_later(void *unused) {
  (void)unused;
  if (later.process != getpid()) later.times = 0;
  later.process = getpid();
  later.times++;
}

static void later_ran_once(void) {
  child_check_int(later.process, ==, getpid());
  child_check_int(later.times, ==, 1);
}

static void fork_and_return(void) {
  pid_t pid = fork();
  child_check_int(pid, >=, 0);
  if (pid > 0) expect_passed(pid);
}

static void fork_in_first(void *unused) {
  (void)unused;
  if (atfork_generation() == 1) fork_and_return();
}

static void unregister_and_fork_in_second(void *unused) {
  (void)unused;
  if (atfork_generation() != 2) return;
  child_check_int(atfork_unregister(later.id), ==, 0);
  fork_and_return();
}

/* In a table that comes in the middle of this walk. */
static const struct way *way;

static void renew_unregister_and_fork(void *unused) {
  atfork_id ids[200];
  if (atfork_generation() != 1) return;
  for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) ids[i] = atfork_register_after_fork(nothing, unused);
  for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) child_check_int(atfork_unregister(ids[i]), ==, 0);
  atfork_foreach(visit_nothing, NULL);
  child_check_int(atfork_unregister(later.id), ==, 0);
  pid_t pid = way->fork();
  child_check_int(pid, >=, 0);
  if (pid > 0) expect_passed(pid);
}

static void check_later(void) {
  later.id = atfork_register(&(struct atfork_hook){.parent = nothing, .child = run_later});
  in_child(fork, later_ran_once);
  unregister_all();
}

static void test_unregistered_deeper(void) {
  atfork_register_after_fork(fork_in_first, NULL);
  atfork_register_after_fork(unregister_and_fork_in_second, NULL);
  check_later();
}

/* Between the beginning of a fork and of another one in its preparation, whose child makes the first one, too. */
static bool is_nested;

static void unregister_and_fork_in_preparation(void *unused) {
  (void)unused;
  if (!is_nested) return;
  is_nested = false;
  child_check_int(atfork_unregister(later.id), ==, 0);
  fork_and_return();
}

static void fork_nested(void *unused) {
  (void)unused;
  if (atfork_generation() != 1) return;
  is_nested = true;
  fork_and_return();
}

static void test_unregistered_in_preparation(void) {
  atfork_register(&(struct atfork_hook){.prepare = unregister_and_fork_in_preparation, .child = fork_nested});
  check_later();
}

/* In a child that bypassed the handlers, another thread has run its hooks before one is unregistered. */
static void *poll_there(void *unused) {
  child_check_int(atfork_poll(), ==, 2);
  return unused;
}

static void bypass_and_unregister(void *unused) {
  pthread_t other;
  (void)unused;
  if (atfork_generation() != 1) return;
  pid_t pid = fork_by_syscall();
  if (pid > 0) expect_passed(pid);
  if (pid > 0) return;
  child_check_int(atfork_generation(), ==, 2);
  child_check_int(pthread_create(&other, NULL, poll_there, NULL), ==, 0);
  pthread_join(other, NULL);
  child_check_int(atfork_unregister(later.id), ==, 0);
}

static void test_unregistered_after_a_poll(void) {
  atfork_register_after_fork(bypass_and_unregister, NULL);
  check_later();
}

static void test_unregistered_in_a_new_table(void) {
  for (size_t i = 0; i < ways_count; i++) {
    way = &ways[i];
    atfork_register_after_fork(renew_unregister_and_fork, NULL);
    check_later();
  }
}

/* By a bypassing fork: what comes back has it run, once, also where it comes back into more than one fork. */
static uint64_t bypassing; /* the generation of who does */

static void unregister_and_bypass(void *unused) {
  (void)unused;
  if (atfork_generation() != bypassing) return;
  child_check_int(atfork_unregister(later.id), ==, 0);
  pid_t pid = fork_by_syscall();
  child_check_int(pid, >=, 0);
  if (pid > 0) expect_passed(pid);
}

static void test_bypassed_deeper(void) {
  bypassing = 2;
  atfork_register_after_fork(fork_in_first, NULL);
  atfork_register_after_fork(unregister_and_bypass, NULL);
  check_later();
}

/* One that has had its turn in the parent, and has none to come in the walk that its child comes back to. */
static void run_later_and_bypass(void *unused) {
  run_later(unused);
  unregister_and_bypass(unused);
}

static void test_unregisters_itself_and_bypasses(void) {
  bypassing = 1;
  later.id = atfork_register_after_fork(run_later_and_bypass, NULL);
  atfork_register_after_fork(nothing, NULL);
  in_child(fork, later_ran_once);
  unregister_all();
}

static void run_later_and_poll(void *unused) {
  run_later(unused);
  atfork_poll();
}

static void test_polls_after_a_bypass(void) {
  bypassing = 1;
  atfork_register_after_fork(unregister_and_bypass, NULL);
  later.id = atfork_register_after_fork(run_later_and_poll, NULL);
  in_child(fork, later_ran_once);
  unregister_all();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/pairing-returning/unregistered-deeper", test_unregistered_deeper);
  g_test_add_func("/pairing-returning/unregistered-in-preparation", test_unregistered_in_preparation);
  g_test_add_func("/pairing-returning/unregistered-after-a-poll", test_unregistered_after_a_poll);
  g_test_add_func("/pairing-returning/unregistered-in-a-new-table", test_unregistered_in_a_new_table);
  g_test_add_func("/pairing-returning/bypassed-deeper", test_bypassed_deeper);
  g_test_add_func("/pairing-returning/unregisters-itself-and-bypasses", test_unregisters_itself_and_bypasses);
  g_test_add_func("/pairing-returning/polls-after-a-bypass", test_polls_after_a_bypass);
  return g_test_run();
}
