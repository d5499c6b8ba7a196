/* SPDX-License-Identifier: MIT */
/*
 * A child that is forked by another thread while this one has the C library call our handlers: nobody knows there
 * whether that was done.  All the same each callback runs once.
 */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <unistd.h>

#include "forks.h"

static int prepared, parented, childed;

static void prepare(void *unused) {
  (void)unused;
  prepared++;
}
static void parent(void *unused) {
  (void)unused;
  parented++;
}
static void child(void *unused) {
  (void)unused;
  childed++;
}

static void grandchild(void) {
  child_check_int(prepared, ==, 1);
  child_check_int(childed, ==, 1);
}

static void use_hooks(void) {
  child_check_int(atfork_register(&(struct atfork_hook){.prepare = prepare, .parent = parent, .child = child}), !=, 0);
  in_child(fork, grandchild);
  child_check_int(prepared, ==, 1);
  child_check_int(parented, ==, 1);
  child_check_int(childed, ==, 0);
}

static void *fork_and_use_hooks(void *way) {
  in_child(((const struct way *)way)->fork, use_hooks);
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

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*on_prepare)(void), void (*on_parent)(void), void (*on_child)(void)) {
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

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/doubtful/before-it-is-done", test_before);
  g_test_add_func("/doubtful/after-it-is-done", test_after);
  return g_test_run();
}
