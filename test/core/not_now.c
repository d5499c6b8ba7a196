/* SPDX-License-Identifier: MIT */
/* Promise 13: after "not now" the prepare phase starts again, with the same hooks; what was prepared is taken back. */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"
#include "notes.h"

static void test_what_was_prepared_is_taken_back(void) {
  add("A\0a", 1, false);
  add("B\0b", 1, false);
  add("C\0c", 0, true);
  add("D\0d", -1, false);
  refusals = 3;
  trace[0] = '\0';
  in_child(fork, child_passes);
  /* The one that refuses has nothing to take back. */
  g_assert_cmpstr(trace, ==, "BAC!abBAC!abBAC!abBACDdcab");
  unregister_all();
}

/* Every prepare has its parent before the next one, however often it is refused. */
static int prepared, taken_back;

static void count_prepare(void *unused) {
  (void)unused;
  g_assert_cmpint(prepared, ==, taken_back);
  prepared++;
}
static void count_parent(void *unused) {
  (void)unused;
  taken_back++;
}
static int refuse(void *left) {
  return *(int *)left > 0 ? (*(int *)left)-- : 0;
}

static void test_refuses_many_times(void) {
  for (int times = 0; times <= 40; times += 8) {
    int left = times;
    prepared = taken_back = 0;
    atfork_register(&(struct atfork_hook){.try_prepare = refuse, .data = &left});
    atfork_register(&(struct atfork_hook){.priority = 1, .prepare = count_prepare, .parent = count_parent});
    in_child(fork, child_passes);
    g_assert_cmpint(left, ==, 0);
    g_assert_cmpint(prepared, ==, times + 1);
    g_assert_cmpint(taken_back, ==, times + 1);
    unregister_all();
  }
}

static void add_another(void *unused) {
  (void)unused;
  add("N\0n", 5, false);
}

/* The same hooks each time, though one comes in between. */
static void test_with_the_same_hooks(void) {
  atfork_register(&(struct atfork_hook){.parent = add_another});
  add("B\0b", 0, false);
  add("C\0c", -1, true);
  refusals = 1;
  trace[0] = '\0';
  in_child(fork, child_passes);
  g_assert_cmpstr(trace, ==, "BC!bBCcb");
  unregister_all();
}

/* ---- A hook that is registered in a fork, which begins to prepare anew, has no part in it ---- */

static int destroyed;

static void count_destroy(void *unused) {
  (void)unused;
  destroyed++;
}

static atfork_id registered_inside;

static int refuse_and_register(void *refused) {
  if ((*(int *)refused)++ > 0) return 0;
  registered_inside = atfork_register(&(struct atfork_hook){.parent = nothing, .destroy = count_destroy});
  return 1;
}

static void unregister_inside(void *refused) {
  if (*(int *)refused == 0) return;
  child_check_int(atfork_unregister(registered_inside), ==, 0);
  child_check_int(destroyed, ==, 1);
}

/* So it ends at once. */
static void test_registered_before_not_now(void) {
  int refused = 0;
  destroyed = 0;
  atfork_register(&(struct atfork_hook){.try_prepare = refuse_and_register, .data = &refused});
  atfork_register(&(struct atfork_hook){.priority = 1, .prepare = unregister_inside, .data = &refused});
  in_child(fork, child_passes);
  g_assert_cmpint(destroyed, ==, 1);
  unregister_all();
}

static void *unregister_there(void *unused) {
  child_check_int(atfork_unregister(registered_inside), ==, 0);
  return unused;
}

static void have_it_unregistered(void *refused) {
  pthread_t thread;
  if (*(int *)refused == 0) return;
  child_check_int(pthread_create(&thread, NULL, unregister_there, NULL), ==, 0);
  child_check_int(pthread_join(thread, NULL), ==, 0);
}

static void registered_and_unregistered_there(void) {
  int refused = 0;
  atfork_register(&(struct atfork_hook){.try_prepare = refuse_and_register, .data = &refused});
  atfork_register(&(struct atfork_hook){.priority = 1, .prepare = have_it_unregistered, .data = &refused});
  in_child(fork, child_passes);
}

/* So another thread does not wait for that fork, which waits for it. */
static void test_registered_before_not_now_and_another_thread(void) {
  in_child(fork, registered_and_unregistered_there);
}

/* ---- It ends with the walks that it takes part in, which one that it is registered in is not ---- */

static int unregister_in_a_visit(const struct atfork_info *info, void *unused) {
  (void)unused;
  if (info->id == registered_inside) g_assert_cmpint(atfork_unregister(registered_inside), ==, 0);
  return 0;
}

static void register_and_visit(void *unused) {
  (void)unused;
  destroyed = 0;
  registered_inside = atfork_register(&(struct atfork_hook){.parent = nothing, .destroy = count_destroy});
  atfork_foreach(unregister_in_a_visit, NULL);
  g_assert_cmpint(destroyed, ==, 1);
}

static void test_destroyed_with_the_inner_walk(void) {
  atfork_register(&(struct atfork_hook){.prepare = register_and_visit});
  in_child(fork, child_passes);
  unregister_all();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/not-now/what-was-prepared-is-taken-back", test_what_was_prepared_is_taken_back);
  g_test_add_func("/not-now/refuses-many-times", test_refuses_many_times);
  g_test_add_func("/not-now/with-the-same-hooks", test_with_the_same_hooks);
  g_test_add_func("/not-now/registered-before-not-now", test_registered_before_not_now);
  g_test_add_func("/not-now/registered-before-not-now-and-another-thread",
                  test_registered_before_not_now_and_another_thread);
  g_test_add_func("/not-now/destroyed-with-the-inner-walk", test_destroyed_with_the_inner_walk);
  return g_test_run();
}
