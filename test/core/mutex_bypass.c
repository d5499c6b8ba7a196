/* SPDX-License-Identifier: MIT */
/*
 * Promise 9: in a child of a bypassing fork each registered mutex is free, whichever thread of the parent held it,
 * unless a thread of the child holds it.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "forks.h"
#include "mutexes.h"

/* By either name, as the size of off_t has it. */
static bool has_no_proc;

#define WRAP_STAT(stat)                                     \
  int __real_##stat(const char *path, struct stat *about);  \
  int __wrap_##stat(const char *path, struct stat *about);  \
  int __wrap_##stat(const char *path, struct stat *about) { \
    return has_no_proc ? -1 : __real_##stat(path, about);   \
  }
#undef stat64
WRAP_STAT(stat)
#ifdef __GLIBC__
WRAP_STAT(stat64)
#endif

/* ---- Bypassing forks while another thread has it ---- */

static _Noreturn void stay(void *unused) {
  (void)unused;
  gate_open(&ready);
  for (;;) pause();
}

static void *hold_for_ever(void *unused) {
  pthread_mutex_lock(&mutex);
  stay(unused);
}

static bool polls;

static void goes_on(void) {
  if (polls) child_check_int(atfork_poll(), ==, 1);
  if (polls) is_usable();
  in_child(fork, is_usable);
  is_usable();
}

static void for_each_bypass(void (*body)(void)) {
  for (size_t i = 0; i < ways_count; i++) {
    if (!ways[i].bypasses) continue;
    for (int poll = 0; poll < 2; poll++) {
      polls = poll == 1;
      in_child(ways[i].fork, body);
    }
  }
}

static void another_has_it(void) {
  child_check_int((atfork_register_mutex)(&mutex, 0), !=, 0);
  start(hold_for_ever);
  for_each_bypass(goes_on);
}

static void test_another_has_it(void) {
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    make_mutex(types[i]);
    in_child(fork, another_has_it);
  }
}

static void *stay_in_a_fork(void *unused) {
  fork();
  return unused;
}

static void goes_on_without_the_fork(void) {
  if (polls) child_check_int(atfork_poll(), ==, 1);
  if (polls) is_usable();
  is_usable();
}

static void another_s_fork_has_it(void) {
  child_check_int((atfork_register_mutex)(&mutex, 1), !=, 0);
  child_check_int(atfork_register(&(struct atfork_hook){.prepare = stay}), !=, 0);
  start(stay_in_a_fork);
  polls = true;
  in_child(fork_by_clone, goes_on_without_the_fork);
}

static void test_another_s_fork_has_it(void) {
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    make_mutex(types[i]);
    in_child(fork, another_s_fork_has_it);
  }
}

#ifdef __GLIBC__
/* A thread of the child that lies where the lost thread lay, with its errno at the same address.  Only glibc tells
 * which of the two has locked the mutex. */
static char place[1 << 20] __attribute__((aligned(1 << 16)));
static atfork_id id;

static pthread_t start_at_place(void *(*body)(void *)) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  child_check_int(pthread_attr_setstack(&attributes, place, sizeof place), ==, 0);
  child_check_int(pthread_create(&thread, &attributes, body, NULL), ==, 0);
  pthread_attr_destroy(&attributes);
  return thread;
}

static void *goes_on_at_place(void *unused) {
  if (polls) goes_on_without_the_fork();
  child_check_int(atfork_unregister(id), ==, 0);
  return unused;
}

static void goes_on_in_its_place(void) {
  pthread_join(start_at_place(goes_on_at_place), NULL);
}

static void another_s_fork_had_the_place(void) {
  child_check_int(id = (atfork_register_mutex)(&mutex, 1), !=, 0);
  child_check_int(atfork_register(&(struct atfork_hook){.prepare = stay}), !=, 0);
  gate_make(&ready);
  start_at_place(stay_in_a_fork);
  gate_wait(&ready);
  for_each_bypass(goes_on_in_its_place);
}

static void test_in_the_place_of_another(void) {
  if (is_emulated || g_getenv("ATFORK_TEST_VALGRIND") != NULL) {
    g_test_skip("an emulator has threads of its own; valgrind reports what the lost thread had as a leak");
    return;
  }
  make_mutex(PTHREAD_MUTEX_NORMAL);
  in_child(fork, another_s_fork_had_the_place);
}
#endif

/* A thread of the child is none of those that are gone. */
static void has_a_thread_that_has_it(void) {
  start(hold_for_ever);
  atfork_poll();
  child_check_int(locked_by_another(), ==, EBUSY);
}

static void a_thread_of_the_child_has_it(void) {
  child_check_int((atfork_register_mutex)(&mutex, 0), !=, 0);
  in_child(fork_by_clone, has_a_thread_that_has_it);
}

static void test_a_thread_of_the_child_has_it(void) {
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    make_mutex(types[i]);
    in_child(fork, a_thread_of_the_child_has_it);
  }
}

#ifdef __GLIBC__
/* Nor is the one that has forked. */
static void has_it_still(void) {
  atfork_poll();
  child_check_int(locked_by_another(), ==, EBUSY);
  child_check_int(pthread_mutex_unlock(&mutex), ==, 0);
  is_usable();
}

static void has_it_itself(void) {
  child_check_int((atfork_register_mutex)(&mutex, 0), !=, 0);
  child_check_int(pthread_mutex_lock(&mutex), ==, 0);
  in_child(fork_by_clone, has_it_still);
}

static void test_it_has_it_itself(void) {
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    make_mutex(types[i]);
    in_child(fork, has_it_itself);
  }
}

/* Locked, and the owner is not noted yet. */
static void is_let_go(void) {
  atfork_poll();
  is_usable();
}

static void is_left(void) {
  has_no_proc = true;
  atfork_poll();
  child_check_int(pthread_mutex_trylock(&mutex), ==, EBUSY);
}

static void *stay_there(void *unused) {
  stay(unused);
}

static void is_left_to_its_threads(void) {
  start(stay_there);
  atfork_poll();
  child_check_int(pthread_mutex_trylock(&mutex), ==, EBUSY);
}

static void locked_a_moment_ago(void) {
  child_check_int((atfork_register_mutex)(&mutex, 0), !=, 0);
  mutex.__data.__lock = 1;
  in_child(fork_by_clone, is_let_go);
  in_child(fork_by_clone, is_left);
  in_child(fork_by_clone, is_left_to_its_threads);
}

static void test_locked_a_moment_ago(void) {
  if (is_emulated) {
    g_test_skip("an emulator has a thread of its own, which may have locked it");
    return;
  }
  make_mutex(PTHREAD_MUTEX_NORMAL);
  in_child(fork, locked_a_moment_ago);
}
#endif

/* What is free is left alone: it can be destroyed. */
static void has_it_free(void) {
  atfork_poll();
  child_check_int(pthread_mutex_destroy(&mutex), ==, 0);
}

static void test_nobody_has_it(void) {
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    make_mutex(types[i]);
    g_assert_cmpuint((atfork_register_mutex)(&mutex, 0), !=, 0);
    g_assert_cmpuint((atfork_register_mutex)(&mutex, 0), !=, 0);
    in_child(fork_by_clone, has_it_free);
    in_child(fork, has_it_free);
    unregister_all();
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/mutex-bypass/another-has-it", test_another_has_it);
  g_test_add_func("/mutex-bypass/another-s-fork-has-it", test_another_s_fork_has_it);
  g_test_add_func("/mutex-bypass/a-thread-of-the-child-has-it", test_a_thread_of_the_child_has_it);
#ifdef __GLIBC__
  g_test_add_func("/mutex-bypass/in-the-place-of-another", test_in_the_place_of_another);
  g_test_add_func("/mutex-bypass/it-has-it-itself", test_it_has_it_itself);
  g_test_add_func("/mutex-bypass/locked-a-moment-ago", test_locked_a_moment_ago);
#endif
  g_test_add_func("/mutex-bypass/nobody-has-it", test_nobody_has_it);
  return g_test_run();
}
