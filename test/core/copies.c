/* SPDX-License-Identifier: MIT */
/*
 * Promise 15: one registry in a process, however many copies of the library are in it.  Which copy serves is decided as
 * they are loaded, so each case is a process of its own.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"
#include "loading.h"

/* ---- Hooks ---- */

static void test_order(void) {
  for_each_pair(order_case);
}

static void unregister_case(void) {
  atfork_id ids[] = {add(first, 0, "a"), add(second, 0, "b"), add(first, 0, "c")};
  child_check(ids[0] != ids[1] && ids[1] != ids[2]);
  child_check_int(first->foreach (note_name, NULL), ==, 0);
  check_log("abc", "the first's foreach");
  child_check_int(second->unregister(ids[0]), ==, 0);
  child_check_int(first->unregister(ids[1]), ==, 0);
  child_check_int(first->unregister(ids[0]), ==, -1);
  memset(log_of_calls, 0, sizeof log_of_calls);
  child_check_int(second->foreach (note_name, NULL), ==, 0);
  check_log("c", "the second's foreach");
}

static void test_unregister(void) {
  for_each_pair(unregister_case);
}

/* ---- Who the process is ---- */

static char here[64];

static uint64_t generation_before;

static void check_both(unsigned deeper, const char *suffix) {
  char expected[96];
  g_snprintf(expected, sizeof expected, "%s%s", here, suffix);
  check_lineage(first, expected);
  check_lineage(second, expected);
  child_check_int(first->generation(), ==, generation_before + deeper);
  child_check_int(second->generation(), ==, generation_before + deeper);
  child_check(first->seed(42) == second->seed(42));
}

static void is_the_first_child(void) {
  check_both(1, ".1");
}
static void is_the_fourth_child(void) {
  check_both(1, ".4");
}

/* Where the process is made before the copies are loaded, it is the root. */
static void note_here(void) {
  generation_before = first->generation();
  first->lineage(here, sizeof here);
#ifndef IN_PROGRAM
  child_check_int(generation_before, ==, 0);
#endif
}

static void check_token(const struct copy *of, const char *suffix) {
  char token[1024], expected[96];
  child_check(of->token(token, sizeof token) < (int)sizeof token);
  g_snprintf(expected, sizeof expected, ":%s%s:", here, suffix);
  child_check(strstr(token, expected) != NULL);
}

static void lineage_case(void) {
  note_here();
  child_check(first->mark() == second->mark());
  child_check(strcmp(first->version(), second->version()) == 0);
  in_child(fork, is_the_first_child);
  check_token(first, ".2");
  check_token(second, ".3");
  in_child(fork, is_the_fourth_child);
}

static void test_lineage(void) {
  for_each_pair(lineage_case);
}

/* The process's place, whichever copy has taken it. */
static void spawned_case(void) {
  char token[1024];
  note_here();
  if (generation_before > 0) return; /* the program was there before the fork that made this process */
  add(second, 0, "a");
  first->token(token, sizeof token);
  child_check_int(first->spawned(token), ==, 0);
  check_both(1, ".1");
  check_log("a", "spawned");
  child_check_int(second->spawned(token), ==, -1);
  child_check_int(errno, ==, EALREADY);
}

static void test_spawned(void) {
  for_each_pair(spawned_case);
}

static struct atfork_once control;
static int inits;

static void init(void *unused) {
  (void)unused;
  inits++;
}

static void expect_another(void) {
  second->once(&control, init, NULL);
  first->once(&control, init, NULL);
  child_check_int(inits, ==, 2);
}

static void once_case(void) {
  for (int i = 0; i < 2; i++) {
    first->once(&control, init, NULL);
    second->once(&control, init, NULL);
  }
  child_check_int(inits, ==, 1);
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, expect_another);
}

static void test_once(void) {
  for_each_pair(once_case);
}

static void expect_bypassed(void) {
  child_check_int(second->generation(), ==, generation_before + 1);
  child_check_int(first->generation(), ==, generation_before + 1);
  child_check_int(second->poll(), ==, 2);
  child_check_int(first->poll(), ==, 0);
  check_log("ab", "poll");
}

static void bypass_case(void) {
  note_here();
  add(first, 10, "b");
  add(second, -5, "a");
  in_child(fork_by_syscall, expect_bypassed);
  in_child(fork_by_clone, expect_bypassed);
}

static void test_bypass(void) {
  for_each_pair(bypass_case);
}

/* ---- A fork between the load of the one and that of the other ---- */

static void load_second_and_check(void) {
  second = load(second_place);
  check_both(1, ".1");
}

static void load_second_there_and_check(void) {
  second = load(second_place);
  child_check_int(second->generation(), ==, generation_before + 1);
  child_check(second->seed(1) == first->seed(1) && second->seed(1) != 0);
}

static void load_first_and_fork(void) {
  first = load(first_place);
  note_here();
  in_child(fork, load_second_and_check);
  in_child(fork_by_clone, load_second_there_and_check);
}

static void test_fork_between(void) {
  first_place = places[0];
  second_place = STATIC;
  in_child(fork, load_first_and_fork);
}

/* Two that one dlopen() brings: neither has been initialised when both can be seen. */
static void load_pair(void) {
  object_of(PAIR);
  child_check(is_loaded(SHARED) && is_loaded(STATIC));
  first = load(SHARED);
  second = load(STATIC);
  order_case();
}

static void test_at_once(void) {
  in_child(fork, load_pair);
}

/* ---- Threads that load a copy each, at once ---- */

static void *load_in_thread(void *place) {
  return (void *)(uintptr_t)load(place)->mark();
}

static void load_in_threads(void) {
  static const char *const plugins[] = {SHARED, SECOND, STATIC};
  pthread_t threads[G_N_ELEMENTS(plugins)];
  void *marks[G_N_ELEMENTS(plugins)];
  for (size_t i = 0; i < G_N_ELEMENTS(plugins); i++)
    child_check_int(pthread_create(&threads[i], NULL, load_in_thread, (void *)(uintptr_t)plugins[i]), ==, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(plugins); i++) child_check_int(pthread_join(threads[i], &marks[i]), ==, 0);
  child_check(marks[0] == marks[1] && marks[1] == marks[2]);
}

/* None with valgrind, which reports as lost what the dynamic linker has noted elsewhere. */
static void test_threads_load(void) {
  for (int round = 0; round < rounds(49); round++) in_child(fork, load_in_threads);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/copies/order", test_order);
  g_test_add_func("/copies/unregister", test_unregister);
  g_test_add_func("/copies/lineage", test_lineage);
  g_test_add_func("/copies/spawned", test_spawned);
  g_test_add_func("/copies/once", test_once);
  g_test_add_func("/copies/bypass", test_bypass);
  g_test_add_func("/copies/fork-between", test_fork_between);
  g_test_add_func("/copies/at-once", test_at_once);
  add_race("/copies/threads-load", test_threads_load);
  return g_test_run();
}
