/* SPDX-License-Identifier: MIT */
/* Promise 13: a fork holds each registered mutex from its prepare on; parent and child each unlock it once. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "forks.h"

/* ---- Mutexes ---- */

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
static int guarded_by_first;
static bool stop;

static void both_are_free(void) {
  child_check_int(guarded_by_first % 2, ==, 0);
  child_check_int(pthread_mutex_trylock(&first), ==, 0);
  child_check_int(pthread_mutex_trylock(&second), ==, 0);
}

/* Against the order in which forks take them. */
static void *lock_in_the_other_order(void *unused) {
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    pthread_mutex_lock(&first);
    guarded_by_first++;
    pthread_mutex_lock(&second);
    guarded_by_first++;
    pthread_mutex_unlock(&second);
    pthread_mutex_unlock(&first);
  }
  return unused;
}

static void test_mutexes_in_another_order(void) {
  pthread_t threads[2];
  stop = false;
  /* Forks take the second first. */
  g_assert_cmpuint(atfork_register_mutex(&first, 0), !=, 0);
  g_assert_cmpuint(atfork_register_mutex(&second, 0), !=, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_create(&threads[i], NULL, lock_in_the_other_order, NULL);
  for (int i = rounds(10000); i > 0; i--) in_child(fork, both_are_free);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_join(threads[i], NULL);
  unregister_all();
  g_assert_cmpint(pthread_mutex_trylock(&first), ==, 0);
  pthread_mutex_unlock(&first);
}

static void test_mutex_arguments(void) {
  errno = 0;
  g_assert_cmpuint(atfork_register_mutex(NULL, 0), ==, 0);
  g_assert_cmpint(errno, ==, EINVAL);
  errno = 0;
  g_assert_cmpuint(atfork_register_mutex(&first, 40000), ==, 0);
  g_assert_cmpint(errno, ==, EINVAL);
}

static pthread_mutex_t typed;

static void typed_is_usable(void) {
  child_check_int(pthread_mutex_lock(&typed), ==, 0);
  child_check_int(pthread_mutex_unlock(&typed), ==, 0);
  child_check_int(pthread_mutex_unlock(&typed), ==, EPERM);
}

static void check_type(int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  pthread_mutex_init(&typed, &attributes);
  atfork_id id = atfork_register_mutex(&typed, 0);
  in_child(fork, typed_is_usable);
  in_child(fork, typed_is_usable);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  g_assert_cmpint(pthread_mutex_destroy(&typed), ==, 0);
}

/* The C library does not take the child's thread for the owner of these. */
static void test_recursive_mutex(void) {
  check_type(PTHREAD_MUTEX_RECURSIVE);
}

static void test_error_checking_mutex(void) {
  check_type(PTHREAD_MUTEX_ERRORCHECK);
}

static void first_is_free(void) {
  child_check_int(pthread_mutex_trylock(&first), ==, 0);
}

static int forks_left;

/* The outer fork holds it as before, where it is not at its end. */
static void fork_inside(void *held) {
  if (forks_left-- > 0) in_child(fork, first_is_free);
  if (held != NULL) child_check_int(pthread_mutex_trylock(&first), ==, EBUSY);
}

/* A fork inside a callback of one that holds the mutex already. */
static void test_mutex_in_nested_forks(void) {
  atfork_register_mutex(&first, 1);
  atfork_id id =
      atfork_register(&(struct atfork_hook){.prepare = fork_inside, .parent = fork_inside, .child = fork_inside});
  forks_left = 5;
  in_child(fork, first_is_free);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  atfork_register(&(struct atfork_hook){.prepare = fork_inside, .data = &first});
  forks_left = 2;
  in_child(fork, first_is_free);
  g_assert_cmpint(pthread_mutex_trylock(&first), ==, 0);
  pthread_mutex_unlock(&first);
  unregister_all();
}

/* ---- A mutex that is registered twice ---- */

static void first_is_held(void *unused) {
  (void)unused;
  child_check_int(pthread_mutex_trylock(&first), ==, EBUSY);
}

static void expect_first_free(void) {
  g_assert_cmpint(pthread_mutex_trylock(&first), ==, 0);
  pthread_mutex_unlock(&first);
}

/* Held from the first of its hooks to the last; and forks inside count their own. */
static void test_registered_twice(void) {
  static const struct atfork_hook watchers[] = {
      {.priority = -1, .prepare = first_is_held}, {.priority = -1, .parent = first_is_held}, {.parent = first_is_held}};
  for (size_t i = 0; i < G_N_ELEMENTS(watchers); i++) atfork_register(&watchers[i]);
  g_assert_cmpuint(atfork_register_mutex(&second, 0), !=, 0); /* another, which it is not taken for */
  g_assert_cmpuint(atfork_register_mutex(&first, 0), !=, 0);
  g_assert_cmpuint(atfork_register_mutex(&first, 1), !=, 0);
  atfork_register(&(struct atfork_hook){.prepare = fork_inside});
  for (int forks = 0; forks < 3; forks++) {
    forks_left = forks;
    in_child(fork, both_are_free);
    expect_first_free();
  }
  unregister_all();
}

static void unregister_it(void *id) {
  atfork_unregister(*(atfork_id *)id);
}

/* In a fork inside, one of them has no part any more. */
static void test_one_of_two_unregistered_inside(void) {
  for (int which = 0; which < 2; which++) {
    atfork_id ids[2] = {atfork_register_mutex(&first, 1), atfork_register_mutex(&first, 2)};
    atfork_register(&(struct atfork_hook){.prepare = fork_inside});
    atfork_register(&(struct atfork_hook){.prepare = unregister_it, .data = &ids[which]});
    forks_left = 1;
    in_child(fork, first_is_free);
    expect_first_free();
    unregister_all();
  }
}

#ifdef __GLIBC__
static char object;

static void typed_is_free(void) {
  child_check_int(pthread_mutex_trylock(&typed), ==, 0);
  child_check_int(pthread_mutex_unlock(&typed), ==, 0);
}

static void typed_is_held(void *unused) {
  (void)unused;
  child_check_int(pthread_mutex_trylock(&typed), ==, EBUSY);
}

enum { SHARERS = 4 };

static void finalize_all(void *objects) {
  for (int i = 0; i < 2; i++) finalize((char *)objects + i);
}

/* Of four hooks of one mutex, from the lowest priority to the one that locks it, those that `goes` has as '1' and '2'
 * are of two objects that are unloaded in the middle.  The rest hold the mutex, until the last of them lets go. */
static void check_some_unloaded_inside(const char *goes, bool backwards) {
  static char objects[2];
  int last = 0;
  pthread_mutex_init(&typed, NULL);
  for (int n = 0; n < SHARERS; n++) {
    int i = backwards ? SHARERS - 1 - n : n;
    g_assert_cmpuint(atfork_register_mutex_for(&typed, i + 1, goes[i] == '0' ? NULL : &objects[goes[i] - '1']), !=, 0);
    if (goes[i] == '0' && i > last) last = i;
  }
  atfork_register(&(struct atfork_hook){.prepare = finalize_all, .data = objects});
  atfork_register(&(struct atfork_hook){.parent = typed_is_held, .priority = last});
  in_child(fork, typed_is_free);
  typed_is_free();
  unregister_all();
}

static void test_some_unloaded_inside(void) {
  static const char *const which[] = {"0001", "0010", "0101", "1001", "2001", "2101"};
  for (size_t i = 0; i < G_N_ELEMENTS(which); i++) {
    check_some_unloaded_inside(which[i], false);
    check_some_unloaded_inside(which[i], true);
  }
}
#endif

static pid_t inside;

static void fork_and_return(void *unused) {
  (void)unused;
  if (forks_left-- > 0) inside = fork();
}

/*
 * A fork inside a callback, whose child comes back and goes on with the outer one: there the mutex was let go already,
 * and no part of that fork unlocks it once more.
 */
static void check_nested_returning(const struct atfork_hook *forker) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&typed, &attributes);
  g_assert_cmpuint((atfork_register_mutex)(&typed, 1), !=, 0);
  g_assert_cmpuint(atfork_register(forker), !=, 0);
  forks_left = 1;
  inside = 1;
  in_child(fork, typed_is_usable);
  if (inside == 0) typed_is_usable();
  if (inside == 0) child_passes();
  expect_passed(inside);
  g_assert_cmpint(pthread_mutex_lock(&typed), ==, 0);
  g_assert_cmpint(pthread_mutex_unlock(&typed), ==, 0);
  unregister_all();
}

static void test_mutex_in_nested_forks_that_return(void) {
  check_nested_returning(&(struct atfork_hook){.prepare = fork_and_return});
}

/* ---- Who holds the mutex takes the hook back, or ends the process, while another thread's fork waits for it ---- */

static struct gate is_refused;
static int attempts;

/* What was prepared before it is taken back: it waits now, or is about to. */
static void note_refusal(void *unused) {
  (void)unused;
  if (++attempts == 1) gate_open(&is_refused);
}

static void *fork_there(void *unused) {
  in_child(fork, child_passes);
  return unused;
}

static void have_other_wait(pthread_t *other) {
  attempts = 0;
  gate_make(&is_refused);
  child_check_int(atfork_register(&(struct atfork_hook){.priority = 1, .parent = note_refusal}), !=, 0);
  child_check_int(pthread_mutex_lock(&first), ==, 0);
  child_check_int(pthread_create(other, NULL, fork_there, NULL), ==, 0);
  gate_wait(&is_refused);
}

#ifdef __GLIBC__
static void *hold_until_refused(void *has_it) {
  pthread_mutex_lock(&typed);
  gate_open(has_it);
  gate_wait(&is_refused);
  pthread_mutex_unlock(&typed);
  return NULL;
}

/* The first hook of three that runs in the child lets go for all, so that the others may be unloaded in any order. */
static void test_unloaded_in_child(void) {
  static char objects[2];
  for (int which = 0; which < 2; which++) {
    pthread_mutex_init(&typed, NULL);
    g_assert_cmpuint(atfork_register_mutex_for(&typed, 1, NULL), !=, 0);
    atfork_register(&(struct atfork_hook){.priority = 2, .child = finalize_all, .data = objects});
    g_assert_cmpuint(atfork_register_mutex_for(&typed, 3, &objects[which]), !=, 0);
    g_assert_cmpuint(atfork_register_mutex_for(&typed, 4, &objects[1 - which]), !=, 0);
    in_child(fork, typed_is_free);
    typed_is_free();
    unregister_all();
  }
}

/* A child does not count the hooks that shared the mutex in its parent. */
static void unload_in_fork_of_child(void) {
  g_assert_cmpuint(atfork_register_mutex_for(&typed, 3, NULL), !=, 0);
  atfork_register(&(struct atfork_hook){.prepare = finalize, .data = &object});
  in_child(fork, typed_is_free);
  typed_is_free();
}

static void test_unloaded_in_fork_of_child(void) {
  pthread_mutex_init(&typed, NULL);
  g_assert_cmpuint(atfork_register_mutex_for(&typed, 1, NULL), !=, 0);
  g_assert_cmpuint(atfork_register_mutex_for(&typed, 2, &object), !=, 0);
  in_child(fork, unload_in_fork_of_child);
  unregister_all();
}

/* Nothing of the hold is left: this thread's forks wait for a mutex that is registered again at the same place. */
static void check_unloaded_inside(const struct atfork_hook *unloading) {
  pthread_mutex_init(&typed, NULL);
  g_assert_cmpuint(atfork_register_mutex_for(&typed, 2, &object), !=, 0);
  atfork_id id = atfork_register(unloading);
  in_child(fork, typed_is_free);
  typed_is_free();
  pthread_mutex_init(&typed, NULL);
  atfork_unregister(id);
  atfork_register_mutex_for(&typed, 2, &object);
  atfork_register(&(struct atfork_hook){.priority = 3, .parent = note_refusal});
  attempts = 0;
  struct gate has_it;
  gate_make(&has_it);
  gate_make(&is_refused);
  pthread_t holder;
  g_assert_cmpint(pthread_create(&holder, NULL, hold_until_refused, &has_it), ==, 0);
  gate_wait(&has_it);
  in_child(fork, typed_is_free);
  g_assert_cmpint(attempts, >, 1);
  pthread_join(holder, NULL);
  unregister_all();
}

static void test_unloaded_inside(void) {
  check_unloaded_inside(&(struct atfork_hook){.prepare = finalize, .data = &object});
  check_unloaded_inside(&(struct atfork_hook){.parent = finalize, .data = &object});
  check_unloaded_inside(&(struct atfork_hook){.child = finalize, .parent = finalize, .data = &object});
}
#endif

static void unregister_with_the_mutex(void) {
  pthread_t other;
  atfork_id id = atfork_register_mutex(&first, 0);
  have_other_wait(&other);
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(pthread_join(other, NULL), ==, 0);
  child_check_int(pthread_mutex_unlock(&first), ==, 0);
}

/* After the hooks are gone, and before the C library takes our handlers away, which a fork under way must not see. */
static pthread_t waiting;

static void join_waiting(void) {
  if (waiting != 0) pthread_join(waiting, NULL);
}

static void exit_with_the_mutex(void) {
  child_check_int(atfork_register_mutex(&first, 0), !=, 0);
  have_other_wait(&waiting);
  exit(CHILD_PASSED);
}

static void test_unregister_with_the_mutex(void) {
  in_child(fork, unregister_with_the_mutex);
}

static void test_exit_with_the_mutex(void) {
  in_child(fork, exit_with_the_mutex);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  if (atexit(join_waiting) != 0) return 1; /* before any hook, so it is run after they are gone */
  g_test_add_func("/mutex-held/mutexes-in-another-order", test_mutexes_in_another_order);
  g_test_add_func("/mutex-held/mutex-arguments", test_mutex_arguments);
  g_test_add_func("/mutex-held/recursive-mutex", test_recursive_mutex);
  g_test_add_func("/mutex-held/error-checking-mutex", test_error_checking_mutex);
  g_test_add_func("/mutex-held/mutex-in-nested-forks", test_mutex_in_nested_forks);
  g_test_add_func("/mutex-held/registered-twice", test_registered_twice);
  g_test_add_func("/mutex-held/one-of-two-unregistered-inside", test_one_of_two_unregistered_inside);
#ifdef __GLIBC__
  g_test_add_func("/mutex-held/some-unloaded-inside", test_some_unloaded_inside);
  g_test_add_func("/mutex-held/unloaded-inside", test_unloaded_inside);
  g_test_add_func("/mutex-held/unloaded-in-child", test_unloaded_in_child);
  g_test_add_func("/mutex-held/unloaded-in-fork-of-child", test_unloaded_in_fork_of_child);
#endif
  g_test_add_func("/mutex-held/mutex-in-nested-forks-that-return", test_mutex_in_nested_forks_that_return);
  g_test_add_func("/mutex-held/unregister-with-the-mutex", test_unregister_with_the_mutex);
#ifndef __SANITIZE_THREAD__ /* it takes mutexes in children for wrong, and has exit() say so */
  g_test_add_func("/mutex-held/exit-with-the-mutex", test_exit_with_the_mutex);
#else
  (void)test_exit_with_the_mutex;
#endif
  return g_test_run();
}
