/* SPDX-License-Identifier: MIT */
/*
 * Promise 11: cost grows as work grows.  A million hooks: what takes steps for each pair of them would take many
 * minutes, and fail by the test's time limit.
 */
#include <atfork.h>
#include <dlfcn.h>
#include <glib.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "draw.h"
#include "forks.h"
#include "scenario.h"

#ifdef ATFORK_TEST_SHORT
enum { MANY = 50000 }; /* all takes some times as long */
#else
enum { MANY = 1000000 };
#endif

static atfork_id ids[MANY];
static uint64_t ran;

static void run(void *unused) {
  (void)unused;
  ran++;
}

static void fill(int priorities) {
  for (int i = 0; i < MANY; i++) {
    ids[i] = atfork_register(&(struct atfork_hook){.priority = i % priorities, .child = run});
    g_assert_cmpuint(ids[i], !=, 0);
  }
}

/* Changes the order in which they are unregistered. */
static void shuffle(void) {
  uint64_t random = 5;
  for (unsigned i = MANY - 1; i > 0; i--) {
    unsigned j = draw_below(&random, i + 1);
    atfork_id id = ids[i];
    ids[i] = ids[j];
    ids[j] = id;
  }
}

static void reverse(void) {
  for (int i = 0; i < MANY / 2; i++) {
    atfork_id id = ids[i];
    ids[i] = ids[MANY - 1 - i];
    ids[MANY - 1 - i] = id;
  }
}

static void leave_in_order(void) {
}

static void all_ran(void) {
  child_check_int(ran, ==, MANY);
}
static void half_ran(void) {
  child_check_int(ran, ==, MANY / 2);
}
static void none_ran(void) {
  child_check_int(ran, ==, 0);
}

/* How many KiB may be left.  The library keeps 112 for the next hooks.  Valgrind and qemu-user, where all is slow, take
 * more themselves, and sanitizers keep something for what was ever touched. */
static int may_be_left(void) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  return INT_MAX;
#else
  return rounds(50) == 50 ? 512 : 4096;
#endif
}

static void check(int priorities, void (*order)(void)) {
  memset(ids, 1, sizeof ids);
  int before = scenario_resident();
  g_assert_cmpint(before, >, 0);
  fill(priorities);
  in_child(fork, all_ran);
  order();
  for (int i = 0; i < MANY / 2; i++) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
  in_child(fork, half_ran);
  for (int i = MANY / 2; i < MANY; i++) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
  in_child(fork, none_ran);
  for (int i = 0; i < MANY; i += 1000) g_assert_cmpint(atfork_unregister(ids[i]), ==, -1);
  int after = scenario_resident();
  g_test_message("%d KiB before, %d KiB after", before, after);
  g_assert_cmpint(after - before, <, may_be_left());
}

static void test_in_order(void) {
  check(1, leave_in_order);
}
static void test_in_reverse(void) {
  check(1, reverse);
}
static void test_at_random(void) {
  check(1, shuffle);
}
static void test_at_random_at_all_priorities(void) {
  check(32768, shuffle);
}

/* All unregistered by a callback: they end with the fork. */
static void unregister_all_of_them(void *unused) {
  (void)unused;
  for (int i = 0; i < MANY; i++) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
}

static void test_in_a_callback(void) {
  fill(1);
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = 1, .prepare = unregister_all_of_them});
  in_child(fork, all_ran);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  in_child(fork, none_ran);
}

/* ---- With its shared object, and at exit ---- */

void plugin_destroyed(void);
void plugin_destroyed(void) {
}

void plugin_ran(void); /* called by the plugin */
void plugin_ran(void) {
  ran++;
}

static void test_dlclose(void) {
  void *plugin = dlopen(PLUGIN, RTLD_NOW);
  g_assert_true(plugin != NULL);
  void (*plug_in)(void) = (void (*)(void))(uintptr_t)dlsym(plugin, "plug_in");
  for (int i = 0; i < MANY; i++) plug_in();
  in_child(fork, all_ran);
  g_assert_cmpint(dlclose(plugin), ==, 0);
  in_child(fork, none_ran);
}

static void test_exit(void) {
  pid_t pid = fork();
  if (pid == 0) {
    fill(1);
    exit(CHILD_PASSED);
  }
  expect_passed(pid);
}

#ifndef __SANITIZE_THREAD__ /* a thread may hold 64 mutexes there */
static pthread_mutex_t mutexes[MANY];

static void all_are_free(void) {
  for (int i = 0; i < MANY; i++) child_check_int(pthread_mutex_trylock(&mutexes[i]), ==, 0);
}

static void test_mutexes(void) {
  for (int i = 0; i < MANY; i++) {
    pthread_mutex_init(&mutexes[i], NULL);
    ids[i] = atfork_register_mutex(&mutexes[i], 0);
    g_assert_cmpuint(ids[i], !=, 0);
  }
  in_child(fork, all_are_free);
  for (int i = 0; i < MANY; i++) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
}
#endif

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/scale/in-order", test_in_order);
  g_test_add_func("/scale/in-reverse", test_in_reverse);
  g_test_add_func("/scale/at-random", test_at_random);
  g_test_add_func("/scale/at-random-at-all-priorities", test_at_random_at_all_priorities);
  g_test_add_func("/scale/in-a-callback", test_in_a_callback);
  g_test_add_func("/scale/dlclose", test_dlclose);
  g_test_add_func("/scale/exit", test_exit);
#ifndef __SANITIZE_THREAD__
  g_test_add_func("/scale/mutexes", test_mutexes);
#endif
  return g_test_run();
}
