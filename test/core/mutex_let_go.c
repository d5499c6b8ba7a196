/* SPDX-License-Identifier: MIT */
/*
 * Promise 13: a child unlocks a mutex of several hooks once, by the first of these hooks; after that the mutex is the
 * child's own.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <unistd.h>

#include "forks.h"

static pthread_mutex_t mutex;
static pid_t (*bypass)(void);
static bool has_forked;

static void make_mutex(int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  pthread_mutex_init(&mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

static void has_it(void) {
  child_check_int(pthread_mutex_trylock(&mutex), ==, EBUSY);
}

/* Between the two hooks of the mutex: the later one has locked it, the earlier one has had no turn yet. */
static void fork_and_poll(void *unused) {
  (void)unused;
  if (has_forked) return;
  has_forked = true;
  pid_t pid = bypass();
  if (pid != 0) {
    expect_passed(pid);
    return;
  }
  child_check_int(atfork_poll(), ==, 3);
  has_it();
  child_passes();
}

static void lock_it(void *unused) {
  (void)unused;
  child_check_int(pthread_mutex_trylock(&mutex), ==, 0);
}

static void test_of_two_hooks(const struct way *way, int type) {
  make_mutex(type);
  atfork_id ids[] = {
      (atfork_register_mutex)(&mutex, 0),
      atfork_register(&(struct atfork_hook){.priority = 1, .prepare = fork_and_poll, .child = lock_it}),
      (atfork_register_mutex)(&mutex, 2),
  };
  bypass = way->fork;
  has_forked = false;
  in_child(fork, has_it);
  for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
}

static void test_let_go_once(void) {
  static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK};
  for (size_t i = 0; i < ways_count; i++)
    for (size_t j = 0; ways[i].bypasses && j < G_N_ELEMENTS(types); j++) test_of_two_hooks(&ways[i], types[j]);
}

/* ---- What a fork of this thread holds is not taken for what a thread has that is gone ---- */

static atfork_id later;

static void register_once_more(void *unused) {
  (void)unused;
  if (later == 0) later = (atfork_register_mutex)(&mutex, 1);
}

/* It takes part in this fork, and finds the mutex locked, by the thread of the parent that goes on here. */
static void fork_inside(void *unused) {
  (void)unused;
  if (has_forked) return;
  has_forked = true;
  pid_t pid = fork();
  if (pid == 0) child_passes();
  expect_passed(pid);
  has_it();
}

static void test_of_own_fork(int type) {
  make_mutex(type);
  later = 0;
  has_forked = false;
  atfork_id ids[] = {
      (atfork_register_mutex)(&mutex, 0),
      atfork_register(&(struct atfork_hook){.prepare = register_once_more}),
      atfork_register(&(struct atfork_hook){.priority = -1, .child = fork_inside}),
  };
  in_child(fork, child_passes);
  for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
  g_assert_cmpint(atfork_unregister(later), ==, 0);
}

static void test_not_of_the_gone(void) {
  static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE};
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) test_of_own_fork(types[i]);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/mutex-let-go/once", test_let_go_once);
  g_test_add_func("/mutex-let-go/not-of-the-gone", test_not_of_the_gone);
  return g_test_run();
}
