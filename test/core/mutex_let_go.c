/* SPDX-License-Identifier: MIT */
/* Promise 13: a mutex of several hooks is let go once in a child, by the first of them; then it is the child's own. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <unistd.h>

#include "forks.h"

static pthread_mutex_t mutex;
static pid_t (*bypass)(void);
static bool has_forked;

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
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  pthread_mutex_init(&mutex, &attributes);
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

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/mutex-let-go/once", test_let_go_once);
  return g_test_run();
}
