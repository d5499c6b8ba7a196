/* SPDX-License-Identifier: MIT */
/*
 * Promise 3: each callback runs once, also in a child that one thread forks while another thread registers the
 * library's fork handlers.  Such a child cannot know whether they were registered.
 */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <unistd.h>

#include "counts.h"
#include "forks.h"
#include "transient.h" /* the library's own */

int __real_pthread_atfork(void (*on_prepare)(void), void (*on_parent)(void), void (*on_child)(void));

static void grandchild(void) {
  child_check_int(one.prepared, ==, 1);
  child_check_int(one.childed, ==, 1);
}

static void grandchild_again(void) {
  child_check_int(one.prepared, ==, 2);
  child_check_int(one.childed, ==, 1);
}

/* The walk of this thread is not a fork that is prepared. */
static int fork_in_visit(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  in_child(fork, grandchild_again);
  return 1;
}

static void use_hooks(void) {
  add(&one);
  in_child(fork, grandchild);
  child_check_int(one.prepared, ==, 1);
  child_check_int(one.parented, ==, 1);
  child_check_int(one.childed, ==, 0);
  child_check_int(atfork_foreach(fork_in_visit, NULL), ==, 1);
  child_check_int(one.prepared, ==, 2);
  child_check_int(one.parented, ==, 2);
}

/* ---- A fork inside another library's handler, between the phases of one ---- */

static int inner_forks; /* to come */

static void inner(void) {
  child_check_int(one.prepared, ==, 2);
  child_check_int(one.parented, ==, 0);
  child_check_int(one.childed, ==, 1);
}

static void fork_inside(void) {
  if (inner_forks-- > 0) in_child(fork, inner);
}

static void outer(void) {
  child_check_int(one.prepared, ==, 2);
  child_check_int(one.parented, ==, 1);
  child_check_int(one.childed, ==, 1);
}

static void use_hooks_inside(void) {
  add(&one);
  inner_forks = 1;
  in_child(fork, outer);
  child_check_int(one.prepared, ==, 2);
  child_check_int(one.parented, ==, 2);
  child_check_int(one.childed, ==, 0);
}

/* ---- Another thread ---- */

static void (*use)(void) = use_hooks; /* in the child that it makes */

static void *fork_and_use_hooks(void *way) {
  in_child(((const struct way *)way)->fork, use);
  return NULL;
}

static bool before, after;

static void have_another_thread_fork(void) {
  pthread_t thread;
  for (size_t i = 0; i < ways_count; i++) {
    g_assert_cmpint(pthread_create(&thread, NULL, fork_and_use_hooks, (void *)(uintptr_t)&ways[i]), ==, 0);
    pthread_join(thread, NULL);
  }
}

/* What is done once, when the library has its handlers called. */
static void (*during)(void);
static int calls;

static void do_once(void (**what)(void)) {
  void (*once)(void) = *what;
  *what = NULL;
  if (once != NULL) once();
}

int __real_pthread_atfork(void (*on_prepare)(void), void (*on_parent)(void), void (*on_child)(void));
int __wrap_pthread_atfork(void (*on_prepare)(void), void (*on_parent)(void), void (*on_child)(void));
int __wrap_pthread_atfork(void (*on_prepare)(void), void (*on_parent)(void), void (*on_child)(void)) {
  calls++;
  do_once(&during);
  if (before) {
    before = false;
    have_another_thread_fork();
  }
  int result = __real_pthread_atfork(on_prepare, on_parent, on_child);
  if (after) {
    after = false;
    have_another_thread_fork();
  }
  return result;
}

/* Each in a process that has not called the library yet. */
static void test_before(void) {
  before = true;
  in_child(fork, use_hooks);
  before = false;
}

static void test_after(void) {
  after = true;
  in_child(fork, use_hooks);
  after = false;
}

/* Given before the library's, and so called after them in the preparation. */
static void have_handler(void) {
  child_check_int(__real_pthread_atfork(fork_inside, NULL, NULL), ==, 0);
  child_check_int(atfork_generation(), ==, 1);
}

static void test_fork_inside(void) {
  after = true;
  use = use_hooks_inside;
  in_child(fork, have_handler);
  use = use_hooks;
  after = false;
}

/* ---- While this thread is in the middle of it ---- */

static void *ask(void *unused) {
  child_check_int(atfork_generation(), ==, 1);
  return unused;
}

/* It finds the lock taken, and then all done. */
static pthread_t asking;

static void have_another_thread_wait(void) {
  g_assert_cmpint(pthread_create(&asking, NULL, ask, NULL), ==, 0);
  while ((atomic_load(&transient()->lock_free.word) & 1) == 0) g_thread_yield();
}

/* As a signal handler may. */
static void ask_here(void) {
  ask(NULL);
}

static int registered_ran;

static void note_run(void *unused) {
  (void)unused;
  registered_ran++;
}

static void expect_run(void) {
  child_check_int(registered_ran, ==, 1);
}

static void register_here(void) {
  child_check_int(atfork_register_after_fork(note_run, NULL), !=, 0);
}

static void (*meanwhile)(void);

static void use_hooks_meanwhile(void) {
  during = meanwhile;
  calls = 0; /* one is made at the load */
  ask(NULL);
  if (meanwhile == have_another_thread_wait) pthread_join(asking, NULL);
  child_check_int(calls, ==, 1);
  use_hooks();
}

static void check_meanwhile(void (*what)(void)) {
  meanwhile = what;
  in_child(fork, use_hooks_meanwhile);
}

static void test_other_thread_waits(void) {
  check_meanwhile(have_another_thread_wait);
}

static void test_handler_asks(void) {
  check_meanwhile(ask_here);
}

static void register_meanwhile(void) {
  use_hooks_meanwhile();
  in_child(fork, expect_run);
}

static void test_handler_registers(void) {
  meanwhile = register_here;
  in_child(fork, register_meanwhile);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/doubtful/before-it-is-done", test_before);
  g_test_add_func("/doubtful/after-it-is-done", test_after);
  g_test_add_func("/doubtful/fork-inside", test_fork_inside);
  g_test_add_func("/doubtful/other-thread-waits", test_other_thread_waits);
  g_test_add_func("/doubtful/handler-asks", test_handler_asks);
  g_test_add_func("/doubtful/handler-registers", test_handler_registers);
  return g_test_run();
}
