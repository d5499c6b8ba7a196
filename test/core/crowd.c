/* SPDX-License-Identifier: MIT */
/* Promise 9: many threads register, unregister and visit at once, with many hooks, in one process. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>

#include "callbacks.h"
#include "hooks.h"
#include "transient.h" /* the library's own */

enum { THREADS = 8, OF_A_THREAD = 2000, MANY = 100000 };

static int hooks(void) {
  int counter = 0;
  g_assert_cmpint(atfork_foreach(count_hook, &counter), ==, 0);
  return counter;
}

static void run_threads(gpointer (*run)(gpointer data), void *data, size_t step) {
  GThread *threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) threads[i] = g_thread_new("one of a crowd", run, (char *)data + i * step);
  for (size_t i = 0; i < THREADS; i++) g_thread_join(threads[i]);
}

static int by_value(const void *a, const void *b) {
  atfork_id first = *(const atfork_id *)a, second = *(const atfork_id *)b;
  return first < second ? -1 : first > second;
}

/* ---- Threads ---- */

static atfork_id ids[THREADS][OF_A_THREAD];

static gpointer register_them(gpointer data) {
  atfork_id *own = data;
  for (int i = 0; i < OF_A_THREAD; i++) {
    own[i] = atfork_register(&(struct atfork_hook){.priority = i % 3, .child = nothing, .data = own});
    g_assert_cmpuint(own[i], !=, 0);
  }
  return NULL;
}

static void test_register(void) {
  run_threads(register_them, ids, sizeof ids[0]);
  g_assert_cmpint(hooks(), ==, THREADS * OF_A_THREAD);
  atfork_id *all = &ids[0][0];
  qsort(all, THREADS * OF_A_THREAD, sizeof *all, by_value);
  for (int i = 1; i < THREADS * OF_A_THREAD; i++) g_assert_cmpuint(all[i], >, all[i - 1]);
  unregister_all();
  g_assert_cmpint(hooks(), ==, 0);
}

static int destroyed;

static void destroy(void *unused) {
  (void)unused;
  __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static gpointer come_and_go(gpointer data) {
  atfork_id own[16] = {0};
  for (int i = 0; i < OF_A_THREAD; i++) {
    int which = i * 7 % 16;
    if (own[which] != 0) g_assert_cmpint(atfork_unregister(own[which]), ==, 0);
    own[which] = atfork_register(&(struct atfork_hook){.priority = i % 5, .child = nothing, .destroy = destroy});
    g_assert_cmpuint(own[which], !=, 0);
    if (i % 100 == 0) g_assert_cmpint(hooks(), >=, 1);
  }
  for (int i = 0; i < 16; i++) g_assert_cmpint(atfork_unregister(own[i]), ==, 0);
  return data;
}

static void test_come_and_go(void) {
  destroyed = 0;
  run_threads(come_and_go, NULL, 0);
  g_assert_cmpint(hooks(), ==, 0);
  g_assert_cmpint(destroyed, ==, THREADS * OF_A_THREAD);
}

/* ---- Unregister waits for a walk ---- */

static bool is_waited_for(struct event *event) {
  return (atomic_load(&event->word) & 1) != 0;
}

static bool walking, go_on, walked;
static atfork_id walked_over;

static void set(bool *flag) {
  __atomic_store_n(flag, true, __ATOMIC_SEQ_CST);
}

static bool is_set(bool *flag) {
  return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static int stay(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  set(&walking);
  while (!is_set(&go_on)) g_thread_yield();
  set(&walked);
  return 0;
}

static gpointer walk(gpointer unused) {
  g_assert_cmpint(atfork_foreach(stay, NULL), ==, 0);
  return unused;
}

static gpointer unregister_it(gpointer unused) {
  g_assert_cmpint(atfork_unregister(walked_over), ==, 0);
  g_assert_true(is_set(&walked));
  return unused;
}

static void test_unregister_waits(void) {
  walked_over = atfork_register_after_fork(nothing, NULL);
  GThread *walker = g_thread_new("walker", walk, NULL);
  while (!is_set(&walking)) g_thread_yield();
  GThread *unregisterer = g_thread_new("unregisterer", unregister_it, NULL);
  /* The hook is no longer shown, and its unregisterer waits.  After this thread's last visit, only the walker's end
   * can wake it. */
  while (hooks() != 0) g_thread_yield();
  while (!is_waited_for(&transient()->walk_ended)) g_thread_yield();
  set(&go_on);
  g_thread_join(walker);
  g_thread_join(unregisterer);
}

/* ---- Once, for all threads ---- */

static struct atfork_once control = ATFORK_ONCE_INIT;
static int inits;
static bool initialised;

/* Ends when another thread waits for it.  A thread that does not wait finds that nothing is initialised. */
static void init_when_waited_for(void *unused) {
  (void)unused;
  inits++;
  while (!is_waited_for(&transient()->init_ended)) g_thread_yield();
  initialised = true;
}

static gpointer need_init(gpointer unused) {
  atfork_once(&control, init_when_waited_for, NULL);
  g_assert_true(initialised);
  return unused;
}

static void test_once(void) {
  run_threads(need_init, NULL, 0);
  g_assert_cmpint(inits, ==, 1);
}

/* ---- Scale ---- */

static atfork_id crowd[MANY];

static void fill(void) {
  destroyed = 0;
  for (int i = 0; i < MANY; i++) {
    crowd[i] = atfork_register(&(struct atfork_hook){.priority = i % 2, .child = nothing, .destroy = destroy});
    g_assert_cmpuint(crowd[i], !=, 0);
  }
  g_assert_cmpint(hooks(), ==, MANY);
}

static void expect_empty(void) {
  g_assert_cmpint(hooks(), ==, 0);
  g_assert_cmpint(destroyed, ==, MANY);
  errno = 0;
  g_assert_cmpint(atfork_unregister(crowd[MANY / 2]), ==, -1);
  g_assert_cmpint(errno, ==, ENOENT);
}

static void test_unregister_in_order(void) {
  fill();
  for (int i = 0; i < MANY; i++) g_assert_cmpint(atfork_unregister(crowd[i]), ==, 0);
  expect_empty();
}

static void test_unregister_in_reverse(void) {
  fill();
  for (int i = MANY; i-- > 0;) g_assert_cmpint(atfork_unregister(crowd[i]), ==, 0);
  expect_empty();
}

/* The step has no factor in common with MANY, so each comes once. */
static void test_unregister_in_disorder(void) {
  fill();
  for (int i = 0; i < MANY; i++) g_assert_cmpint(atfork_unregister(crowd[(int)((int64_t)i * 61803 % MANY)]), ==, 0);
  expect_empty();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/crowd/register", test_register);
  g_test_add_func("/crowd/come-and-go", test_come_and_go);
  g_test_add_func("/crowd/unregister-waits", test_unregister_waits);
  g_test_add_func("/crowd/once", test_once);
  g_test_add_func("/crowd/unregister-in-order", test_unregister_in_order);
  g_test_add_func("/crowd/unregister-in-reverse", test_unregister_in_reverse);
  g_test_add_func("/crowd/unregister-in-disorder", test_unregister_in_disorder);
  return g_test_run();
}
