/* SPDX-License-Identifier: MIT */
/*
 * Promise 8: a new process has the right generation, whichever thread looks first, and whatever other threads and
 * processes do meanwhile.
 */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "distinct.h"
#include "forks.h"

/* ---- Several threads of a child call the library first ---- */

enum { LOOKERS = 4, ROUNDS = 2 };

static void *look(void *generation) {
  for (int i = 0; i < 2; i++)
    if (atfork_generation() != *(const uint64_t *)generation) abort();
  return NULL;
}

/* ThreadSanitizer lets the child of a process with threads have none; here there are none. */
static void have_threads_look(uint64_t generation) {
  pthread_t threads[LOOKERS];
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < LOOKERS; i++) child_check_int(pthread_create(&threads[i], NULL, look, &generation), ==, 0);
    for (int i = 0; i < LOOKERS; i++) child_check_int(pthread_join(threads[i], NULL), ==, 0);
  }
}

static uint64_t expected;

static void threads_look_first(void) {
  have_threads_look(expected);
  child_check_int(atfork_generation(), ==, expected);
  expected++;
  if (expected <= 2) in_child(fork, threads_look_first);
}

static void test_by_threads(void) {
  look(&(uint64_t){0});
  for (size_t i = 0; i < ways_count; i++) {
    expected = 1;
    in_child(ways[i].fork, threads_look_first);
    g_assert_cmpuint(atfork_generation(), ==, 0);
  }
}

static void is_expected(void) {
  child_check_int(atfork_generation(), ==, expected);
  child_check_int(atfork_generation(), ==, expected);
}

/* Its own number does not depend on whom it has made before it looked. */
static void grandchildren_look_first(void) {
  expected = 2;
  for (int i = 0; i < 2; i++) in_child(fork, is_expected);
  child_check_int(atfork_generation(), ==, 1);
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, is_expected);
  child_check_int(atfork_generation(), ==, 1);
}

static void test_by_grandchildren(void) {
  for (size_t i = 0; i < ways_count; i++) {
    in_child(ways[i].fork, grandchildren_look_first);
    g_assert_cmpuint(atfork_generation(), ==, 0);
  }
}

enum { DEEPEST = 24 };

static void look_and_fork(void) {
  uint64_t generation = atfork_generation();
  child_check_int(generation, ==, expected);
  expected++;
  if (generation < DEEPEST) in_child(ways[generation % ways_count].fork, look_and_fork);
  child_check_int(atfork_generation(), ==, generation);
}

static void test_deep(void) {
  expected = 1;
  in_child(fork, look_and_fork);
}

/* ---- Many at once ---- */

enum { RUNS = 10, CHILDREN = 25 };
static uint64_t (*seeds)[CHILDREN + 1]; /* shared by all; the last one is the parent's */

static void draw(int run, int process) {
  seeds[run][process] = atfork_seed((uint64_t)run);
}

/* All of them live at the same time, and draw when all are there. */
static void draw_at_once(int run) {
  pid_t pids[CHILDREN];
  struct gate draws;
  gate_make(&draws);
  for (int i = 0; i < CHILDREN; i++) {
    pids[i] = ways[(size_t)i % ways_count].fork();
    if (pids[i] == 0) {
      gate_wait(&draws);
      draw(run, i);
      child_passes();
    }
  }
  draw(run, CHILDREN);
  for (int i = 0; i < CHILDREN; i++) gate_open(&draws);
  for (int i = 0; i < CHILDREN; i++) expect_passed(pids[i]);
  close(draws.ends[0]);
  close(draws.ends[1]);
}

static void test_seeds_at_once(void) {
  seeds = share(RUNS * sizeof *seeds);
  for (int run = 0; run < RUNS; run++) draw_at_once(run);
  g_assert_true(are_distinct(seeds[0], RUNS * sizeof *seeds / sizeof seeds[0][0]));
}

/* ---- While other threads look ---- */

static bool stop;
static pthread_barrier_t started;

/* A thread that starts may hold locks of its runtime, such as AddressSanitizer's: a child would have them for good. */
static void *keep_looking(void *looks) {
  pthread_barrier_wait(&started);
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    if (atfork_generation() != 0 || atfork_poll() != 0) abort();
    __atomic_add_fetch((int *)looks, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

static void is_one_deeper(void) {
  uint64_t seed = atfork_seed(0);
  child_check_int(atfork_generation(), ==, 1);
  have_threads_look(1);
  child_check(atfork_seed(0) == seed);
}

static void test_while_others_look(void) {
  pthread_t threads[LOOKERS];
  int looks = 0;
  stop = false;
  pthread_barrier_init(&started, NULL, LOOKERS + 1);
  for (int i = 0; i < LOOKERS; i++) pthread_create(&threads[i], NULL, keep_looking, &looks);
  pthread_barrier_wait(&started);
  for (int i = 0; i < rounds(200); i++) in_child(ways[(size_t)i % ways_count].fork, is_one_deeper);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (int i = 0; i < LOOKERS; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&started);
  g_assert_cmpint(looks, >, 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/detection/by-threads", test_by_threads);
  g_test_add_func("/detection/by-grandchildren", test_by_grandchildren);
  g_test_add_func("/detection/deep", test_deep);
  g_test_add_func("/detection/seeds-at-once", test_seeds_at_once);
  /* ThreadSanitizer lets the child of a process with threads have none. */
#ifdef __SANITIZE_THREAD__
  (void)test_while_others_look;
#else
  add_race("/detection/while-others-look", test_while_others_look);
#endif
  return g_test_run();
}
