/* SPDX-License-Identifier: MIT */
/*
 * Promise 15: a copy that has joined is unloaded with its hooks, and the copy that serves stays.  The process ends
 * without a fault, in whatever order copies are unloaded.
 */
#include <atfork.h>
#include <dlfcn.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"
#include "loading.h"

/* Its copy is a static one, and it joins: so it can be unloaded. */
#define JOINER STATIC

/* ---- dlclose ---- */

#ifndef IN_PROGRAM
static void is_mapped_still(void) {
  check_log("baab", "with the serving copy");
  check_lineage(second, "0.1");
}

/* It was the first, so others may call it: though it is a plugin's, it stays. */
static void close_serving(void) {
  void *object = object_of(STATIC);
  first = copy_in(object);
  second = load(SHARED);
  add(first, 0, "a");
  add(second, 0, "b");
  child_check_int(dlclose(object), ==, 0);
  child_check(is_loaded(STATIC));
  in_child(fork, is_mapped_still);
}

static void test_serving_stays(void) {
  in_child(fork, close_serving);
}
#endif

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void joined_is_gone(void) {
  check_log("aa", "without the joined copy");
  child_check_int(pthread_mutex_trylock(&mutex), ==, 0);
}

/* With its hooks; but not those of nobody's, of which the serving copy has the code. */
static void close_joined(void) {
  first = load(places[0]);
  add(first, 0, "a");
  for (int i = 0; i < 2; i++) {
    void *object = object_of(JOINER);
    second = copy_in(object);
    add(second, 0, "b");
    atfork_id id = second->add_mutex(&mutex);
    child_check_int(dlclose(object), ==, 0);
    child_check(!is_loaded(JOINER));
    memset(log_of_calls, 0, sizeof log_of_calls);
    in_child(fork, joined_is_gone);
    check_log("aa", "in the parent");
    child_check_int(first->unregister(id), ==, 0);
  }
}

static void test_joined_goes(void) {
  in_child(fork, close_joined);
}

/* ---- exit ---- */

static int *destroyed;

static void exit_there(void) {
  exit(CHILD_PASSED);
}

/* In whichever order the copies and their plugins are brought to their ends. */
static void exit_case(void) {
  destroyed = share(sizeof *destroyed);
  struct atfork_hook hook = {.child = nothing, .data = destroyed, .destroy = increment};
  child_check(first->add(&hook) != 0 && second->add(&hook) != 0);
  in_child(fork, exit_there);
  child_check_int(*destroyed, ==, 2);
}

static void test_exit(void) {
  for_each_pair(exit_case);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/copies-unload/joined-goes", test_joined_goes);
  g_test_add_func("/copies-unload/exit", test_exit);
#ifdef IN_PROGRAM
#else
  g_test_add_func("/copies-unload/serving-stays", test_serving_stays);
#endif
  return g_test_run();
}
