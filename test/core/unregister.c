/* SPDX-License-Identifier: MIT */
/* Promises 4 and 5: callbacks are free, and unregister is final. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"

static void test_destroy_runs_once(void) {
  int destroyed = 0;
  atfork_id id = atfork_register(&(struct atfork_hook){.child = nothing, .data = &destroyed, .destroy = increment});
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  g_assert_cmpint(destroyed, ==, 1);
  g_assert_cmpint(atfork_unregister(id), ==, -1);
  g_assert_cmpint(errno, ==, ENOENT);
  g_assert_cmpint(destroyed, ==, 1);
}

static void test_stale_ids(void) {
  atfork_id ids[100];
  for (int i = 0; i < 100; i++) ids[i] = atfork_register_after_fork(nothing, NULL);
  for (int i = 0; i < 100; i++) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
  for (int i = 0; i < 100; i++) {
    atfork_id fresh = atfork_register_after_fork(nothing, NULL);
    for (int j = 0; j < 100; j++) g_assert_cmpuint(fresh, !=, ids[j]);
    g_assert_cmpint(atfork_unregister(ids[i]), ==, -1);
    g_assert_cmpint(errno, ==, ENOENT);
    g_assert_cmpint(atfork_unregister(fresh), ==, 0);
  }
}

/* ---- Another thread is in a callback ---- */

static struct gate entered, leave;
static bool left;

static void stay(void *unused) {
  (void)unused;
  gate_open(&entered);
  gate_wait(&leave);
  __atomic_store_n(&left, true, __ATOMIC_SEQ_CST);
}

static void *fork_once(void *unused) {
  in_child(fork, child_passes);
  return unused;
}

static atfork_id staying;

static void *unregister_staying(void *finished) {
  g_assert_cmpint(atfork_unregister(staying), ==, 0);
  /* The callback has returned, and freeing its data is safe. */
  g_assert_true(__atomic_load_n(&left, __ATOMIC_SEQ_CST));
  __atomic_store_n((bool *)finished, true, __ATOMIC_SEQ_CST);
  return NULL;
}

static void test_waits_for_a_running_callback(void) {
  pthread_t forker, unregisterer;
  bool finished = false;
  gate_make(&entered);
  gate_make(&leave);
  left = false;
  staying = atfork_register(&(struct atfork_hook){.prepare = stay});
  pthread_create(&forker, NULL, fork_once, NULL);
  gate_wait(&entered);
  pthread_create(&unregisterer, NULL, unregister_staying, &finished);
  /* Others may use the library meanwhile: no lock is held. */
  for (int i = 0; i < 1000; i++) {
    atfork_id id = atfork_register_after_fork(nothing, NULL);
    g_assert_cmpuint(id, !=, 0);
    g_thread_yield();
    g_assert_false(__atomic_load_n(&finished, __ATOMIC_SEQ_CST));
  }
  gate_open(&leave);
  pthread_join(unregisterer, NULL);
  pthread_join(forker, NULL);
  unregister_all();
}

/* ---- Data is freed at once while other threads fork ---- */

enum { MAGIC = 0x600d };
static bool stop;

static void check_magic(void *data) {
  if (*(volatile int *)data != MAGIC) abort();
}

static void *fork_all_the_time(void *unused) {
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) in_child(fork, child_passes);
  return unused;
}

static void test_data_may_be_freed(void) {
  pthread_t threads[2];
  stop = false;
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_create(&threads[i], NULL, fork_all_the_time, NULL);
  for (int i = 0; i < rounds(3000); i++) {
    int *data = malloc(sizeof *data);
    *data = MAGIC;
    atfork_id id = atfork_register(
        &(struct atfork_hook){.prepare = check_magic, .parent = check_magic, .child = check_magic, .data = data});
    if (i % 8 == 0) in_child(fork, child_passes);
    g_assert_cmpint(atfork_unregister(id), ==, 0);
    *data = 0;
    free(data);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_join(threads[i], NULL);
}

/* ---- Callbacks call everything ---- */

static int visits;

static int count_visit(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  visits++;
  return 0;
}

static void call_everything(void *unused) {
  static struct atfork_once control;
  char text[64];
  (void)unused;
  visits = 0;
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = 3, .child = nothing});
  child_check_int(id, !=, 0);
  child_check_int(atfork_foreach(count_visit, NULL), ==, 0);
  child_check_int(visits, ==, 2);
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(atfork_unregister(id), ==, -1);
  child_check_int(atfork_lineage(text, sizeof text), ==, strlen(text));
  atfork_seed(1);
  atfork_poll();
  atfork_once(&control, nothing, NULL);
  free(malloc(100));
}

static void test_callbacks_call_everything(void) {
  atfork_register(
      &(struct atfork_hook){.prepare = call_everything, .parent = call_everything, .child = call_everything});
  for (int i = 0; i < 3; i++) in_child(fork, child_passes);
  unregister_all();
}

/* ---- A walk goes on where the hooks lay when it began, though they have been copied elsewhere since ---- */

static struct gate unregistered, end_it, begun, go_on;
static atfork_id late;

static int unregister_late(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  g_assert_cmpint(atfork_unregister(late), ==, 0);
  gate_open(&unregistered);
  gate_wait(&end_it);
  return 1;
}

static void *unregister_in_a_walk(void *unused) {
  g_assert_cmpint(atfork_foreach(unregister_late, NULL), ==, 1);
  return unused;
}

static int stay_at_the_first(const struct atfork_info *info, void *unused) {
  (void)unused;
  g_assert_cmpint(info->hook.priority, ==, 0);
  gate_open(&begun);
  gate_wait(&go_on);
  return 0;
}

static void *walk_slowly(void *unused) {
  g_assert_cmpint(atfork_foreach(stay_at_the_first, NULL), ==, 0);
  return unused;
}

static void come_and_go(int count) {
  for (int i = 0; i < count; i++) g_assert_cmpint(atfork_unregister(atfork_register_after_fork(nothing, NULL)), ==, 0);
}

static void test_a_walk_outlives_a_copy(void) {
  pthread_t unregisterer, walker;
  int destroyed = 0;
  struct gate *gates[] = {&unregistered, &end_it, &begun, &go_on};
  for (size_t i = 0; i < G_N_ELEMENTS(gates); i++) gate_make(gates[i]);
  atfork_register_after_fork(nothing, NULL);
  late = atfork_register(
      &(struct atfork_hook){.priority = 10, .child = nothing, .data = &destroyed, .destroy = increment});
  pthread_create(&unregisterer, NULL, unregister_in_a_walk, NULL);
  gate_wait(&unregistered);
  pthread_create(&walker, NULL, walk_slowly, NULL);
  gate_wait(&begun);
  come_and_go(1000);
  gate_open(&end_it);
  pthread_join(unregisterer, NULL);
  g_assert_cmpint(destroyed, ==, 1);
  gate_open(&go_on);
  pthread_join(walker, NULL);
  unregister_all();
}

/* ---- A hook that another thread was unregistering ends in the child too ---- */

static int child_destroyed;
static atfork_id counted;

static void has_ended(void) {
  child_check_int(child_destroyed, ==, 1);
  child_check_int(atfork_unregister(counted), ==, -1);
}

static void *fork_and_check(void *unused) {
  in_child(fork, has_ended);
  return unused;
}

static void *unregister_counted(void *unused) {
  g_assert_cmpint(atfork_unregister(counted), ==, 0);
  return unused;
}

static int is_counted(const struct atfork_info *info, void *unused) {
  (void)unused;
  return info->id == counted;
}

static void test_ends_in_the_child_too(void) {
  pthread_t forker, unregisterer;
  gate_make(&entered);
  gate_make(&leave);
  child_destroyed = 0;
  counted = atfork_register(&(struct atfork_hook){.parent = nothing, .data = &child_destroyed, .destroy = increment});
  atfork_id id = atfork_register(&(struct atfork_hook){.prepare = stay});
  pthread_create(&forker, NULL, fork_and_check, NULL);
  gate_wait(&entered);
  pthread_create(&unregisterer, NULL, unregister_counted, NULL);
  /* It is no more shown, but waits for the fork that it takes part in. */
  while (atfork_foreach(is_counted, NULL) != 0) g_thread_yield();
  gate_open(&leave);
  pthread_join(forker, NULL);
  pthread_join(unregisterer, NULL);
  g_assert_cmpint(child_destroyed, ==, 1);
  atfork_unregister(id);
}

/* ---- It waits for the walks that began before, and for no others ---- */

static int count_and_let_go(const struct atfork_info *info, void *unregisterer) {
  (void)info;
  gate_open(&leave);
  pthread_join(*(pthread_t *)unregisterer, NULL);
  return 1;
}

static void test_does_not_wait_for_later_walks(void) {
  pthread_t forker, unregisterer;
  gate_make(&entered);
  gate_make(&leave);
  child_destroyed = 0;
  atfork_id id = atfork_register(&(struct atfork_hook){.prepare = stay});
  counted = atfork_register(&(struct atfork_hook){.parent = nothing, .data = &child_destroyed, .destroy = increment});
  pthread_create(&forker, NULL, fork_once, NULL);
  gate_wait(&entered);
  pthread_create(&unregisterer, NULL, unregister_counted, NULL);
  while (atfork_foreach(is_counted, NULL) != 0) g_thread_yield();
  /* A walk, in which the other one ends, and in which the hook is to end. */
  g_assert_cmpint(atfork_foreach(count_and_let_go, &unregisterer), ==, 1);
  g_assert_cmpint(child_destroyed, ==, 1);
  pthread_join(forker, NULL);
  atfork_unregister(id);
}

/* ---- In a child nobody is waited for: the other threads' walks are not under way there ---- */

/* Not by a fork, of which some C libraries have only one under way. */
static int stay_in_visit(const struct atfork_info *info, void *unused) {
  (void)info;
  stay(unused);
  return 1;
}

static void *walk_and_stay(void *unused) {
  g_assert_cmpint(atfork_foreach(stay_in_visit, NULL), ==, 1);
  return unused;
}

static int unregister_visited(const struct atfork_info *info, void *unused) {
  (void)unused;
  if (info->id != counted) return 0;
  child_check_int(atfork_unregister(counted), ==, 0);
  child_check_int(child_destroyed, ==, 0);
  return 1;
}

static void unregisters_all_at_once(void) {
  atfork_poll();
  /* This walk was the last. */
  child_check_int(atfork_foreach(unregister_visited, NULL), ==, 1);
  child_check_int(child_destroyed, ==, 1);
  child_check_int(atfork_unregister(staying), ==, 0);
  in_child(fork, child_passes);
}

static void test_other_threads_walks_end_in_a_child(void) {
  pthread_t walker;
  gate_make(&entered);
  gate_make(&leave);
  child_destroyed = 0;
  counted = atfork_register(&(struct atfork_hook){.parent = nothing, .data = &child_destroyed, .destroy = increment});
  staying = atfork_register(&(struct atfork_hook){.parent = nothing});
  pthread_create(&walker, NULL, walk_and_stay, NULL);
  gate_wait(&entered);
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, unregisters_all_at_once);
  gate_open(&leave);
  pthread_join(walker, NULL);
  unregister_all();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/unregister/destroy-runs-once", test_destroy_runs_once);
  g_test_add_func("/unregister/stale-ids", test_stale_ids);
  g_test_add_func("/unregister/waits-for-a-running-callback", test_waits_for_a_running_callback);
  add_race("/unregister/data-may-be-freed", test_data_may_be_freed);
  g_test_add_func("/unregister/callbacks-call-everything", test_callbacks_call_everything);
  g_test_add_func("/unregister/ends-in-the-child-too", test_ends_in_the_child_too);
  g_test_add_func("/unregister/a-walk-outlives-a-copy", test_a_walk_outlives_a_copy);
  g_test_add_func("/unregister/does-not-wait-for-later-walks", test_does_not_wait_for_later_walks);
  g_test_add_func("/unregister/other-threads-walks-end-in-a-child", test_other_threads_walks_end_in_a_child);
  return g_test_run();
}
