/* SPDX-License-Identifier: MIT */
/* Mutexes that a fork holds: whose they are in processes that were made in the middle of something. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "callbacks.h"
#include "fork.h" /* the library's own */
#include "forks.h"

/* ---- What stands between the library and the system ---- */

/* Done once, after the library has locked a mutex, or before it unlocks one. */
static void (*once_locked)(void), (*before_unlocking)(void);

static void do_once(void (**what)(void)) {
  void (*once)(void) = *what;
  *what = NULL;
  if (once != NULL) once();
}

int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex) {
  int error = __real_pthread_mutex_trylock(mutex);
  if (error == 0) do_once(&once_locked);
  return error;
}

/* Done once, in the place of a wait that ends in vain. */
static void (*while_waiting)(void);

int __real_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
  if (while_waiting == NULL) return __real_pthread_mutex_timedlock(mutex, until);
  do_once(&while_waiting);
  return ETIMEDOUT;
}

int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
  do_once(&before_unlocking);
  return __real_pthread_mutex_unlock(mutex);
}

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

/* ---- Mutexes of each type ---- */

static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};
static pthread_mutex_t mutex;
static int type;

static void make_mutex(int its_type) {
  pthread_mutexattr_t attributes;
  type = its_type;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  pthread_mutex_init(&mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

static void *try_to_lock(void *error) {
  *(int *)error = pthread_mutex_trylock(&mutex);
  if (*(int *)error == 0) pthread_mutex_unlock(&mutex);
  return NULL;
}

/* As another thread sees it. */
static int locked_by_another(void) {
  pthread_t thread;
  int error = -1;
  child_check_int(pthread_create(&thread, NULL, try_to_lock, &error), ==, 0);
  child_check_int(pthread_join(thread, NULL), ==, 0);
  return error;
}

/* It is free, and of its type still. */
static void is_usable(void) {
  child_check_int(locked_by_another(), ==, 0);
  child_check_int(pthread_mutex_lock(&mutex), ==, 0);
  child_check_int(pthread_mutex_trylock(&mutex), ==, type == PTHREAD_MUTEX_RECURSIVE ? 0 : EBUSY);
  if (type == PTHREAD_MUTEX_RECURSIVE) child_check_int(pthread_mutex_unlock(&mutex), ==, 0);
  child_check_int(locked_by_another(), ==, EBUSY);
  child_check_int(pthread_mutex_unlock(&mutex), ==, 0);
  if (type != PTHREAD_MUTEX_NORMAL) child_check_int(pthread_mutex_unlock(&mutex), ==, EPERM);
}

/* ---- Bypassing forks while another thread has it ---- */

static struct gate ready;

static _Noreturn void stay(void *unused) {
  (void)unused;
  gate_open(&ready);
  for (;;) pause();
}

static void *hold_for_ever(void *unused) {
  pthread_mutex_lock(&mutex);
  stay(unused);
}

static void start(void *(*body)(void *)) {
  pthread_t thread;
  gate_make(&ready);
  child_check_int(pthread_create(&thread, NULL, body, NULL), ==, 0);
  gate_wait(&ready);
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

/* ---- A process that comes back from a fork inside a callback into the outer fork's `parent` ---- */

static pid_t inside;
static bool has_forked;
static pid_t (*fork_inside)(void);
static atfork_id of_mutex;

static void fork_and_return(void *unregisters) {
  if (has_forked) return;
  has_forked = true;
  if (unregisters != NULL) child_check_int(atfork_unregister(of_mutex), ==, 0);
  inside = fork_inside();
}

static void comes_back(const struct way *way, bool unregisters) {
  of_mutex = (atfork_register_mutex)(&mutex, 10);
  g_assert_cmpuint(of_mutex, !=, 0);
  atfork_register(&(struct atfork_hook){.prepare = fork_and_return, .data = unregisters ? &inside : NULL});
  fork_inside = way->fork;
  has_forked = false;
  pid_t pid = fork();
  if (pid == 0) child_passes();
  expect_passed(pid);
  is_usable();
  in_child(fork, is_usable);
  if (inside == 0) child_passes();
  expect_passed(inside);
  unregister_all();
}

static void test_child_comes_back_into_parent(void) {
  for (size_t i = 0; i < ways_count; i++) {
    for (size_t j = 0; j < G_N_ELEMENTS(types); j++) {
      make_mutex(types[j]);
      comes_back(&ways[i], false);
      comes_back(&ways[i], true);
    }
  }
}

/* ---- A callback that unlocks it ---- */

static void unlock_it(void *unused) {
  (void)unused;
  pthread_mutex_unlock(&mutex);
}

static void *lock_and_stay(void *unused) {
  pthread_mutex_lock(&mutex);
  gate_open(&ready);
  return unused;
}

static void have_another_lock_it(void *unused) {
  (void)unused;
  start(lock_and_stay);
}

/* It is another thread's by then, and not made anew: its type says that there is nothing to let go. */
static void unlocked_by_a_callback(void) {
  make_mutex(PTHREAD_MUTEX_ERRORCHECK);
  child_check_int((atfork_register_mutex)(&mutex, 0), !=, 0);
  child_check_int(atfork_register(&(struct atfork_hook){.priority = -2, .parent = unlock_it}), !=, 0);
  child_check_int(atfork_register(&(struct atfork_hook){.priority = -1, .parent = have_another_lock_it}), !=, 0);
  in_child(fork, is_usable);
  child_check_int(pthread_mutex_trylock(&mutex), ==, EBUSY);
}

static void test_unlocked_by_a_callback(void) {
  in_child(fork, unlocked_by_a_callback);
}

/* ---- Signal handlers that fork ---- */

static int handled;

static void fork_in_handler(int signal) {
  (void)signal;
  handled++;
  in_child(fork, is_usable);
}

static void raise_signal(void) {
  raise(SIGUSR1);
}

static void fork_with(void (**when)(void)) {
  handled = 0;
  *when = raise_signal;
  in_child(fork, is_usable);
  g_assert_true(*when == NULL);
  g_assert_cmpint(handled, ==, 1);
  is_usable();
}

static void test_handlers_that_fork(void) {
  signal(SIGUSR1, fork_in_handler);
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    make_mutex(types[i]);
    g_assert_cmpuint((atfork_register_mutex)(&mutex, 0), !=, 0);
    fork_with(&once_locked);
    fork_with(&before_unlocking);
    unregister_all();
  }
  signal(SIGUSR1, SIG_DFL);
}

/* In the child it comes as that lets go: what it forks has it free. */
static void raise_in_child(void *unused) {
  (void)unused;
  before_unlocking = raise_signal;
}

static void was_handled(void) {
  child_check_int(handled, ==, 1);
  is_usable();
}

static void test_handler_forks_in_the_child(void) {
  signal(SIGUSR1, fork_in_handler);
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    make_mutex(types[i]);
    handled = 0;
    g_assert_cmpuint((atfork_register_mutex)(&mutex, 0), !=, 0);
    atfork_register(&(struct atfork_hook){.priority = -1, .child = raise_in_child});
    in_child(fork, was_handled);
    unregister_all();
  }
  signal(SIGUSR1, SIG_DFL);
}

static sigset_t held_back;

static void note_held_back(void) {
  pthread_sigmask(SIG_BLOCK, NULL, &held_back);
}

/* But not those that a fault raises, which would end the process; and all are let in afterwards. */
static void test_faults_are_let_in(void) {
  make_mutex(PTHREAD_MUTEX_NORMAL);
  g_assert_cmpuint((atfork_register_mutex)(&mutex, 0), !=, 0);
  once_locked = note_held_back;
  in_child(fork, is_usable);
  g_assert_cmpint(sigismember(&held_back, SIGUSR1), ==, 1);
  g_assert_cmpint(sigismember(&held_back, SIGSEGV), ==, 0);
  note_held_back();
  g_assert_cmpint(sigismember(&held_back, SIGUSR1), ==, 0);
  unregister_all();
}

/* ---- While a fork waits for it ---- */

static struct gate is_refused, begins_anew;
static int attempts;

static void count_attempt(void *unused) {
  (void)unused;
  if (++attempts == 2) gate_open(&begins_anew);
}

static void note_refusal(void *unused) {
  (void)unused;
  if (attempts == 1) gate_open(&is_refused);
}

static void *fork_there(void *unused) {
  in_child(fork, is_usable);
  return unused;
}

/* It looks at what hooks there are from time to time, as this thread may wait for it. */
static void others_register(void) {
  pthread_t thread;
  gate_make(&is_refused);
  gate_make(&begins_anew);
  (atfork_register_mutex)(&mutex, 0);
  atfork_register(&(struct atfork_hook){.priority = 1, .prepare = count_attempt, .parent = note_refusal});
  pthread_mutex_lock(&mutex);
  child_check_int(pthread_create(&thread, NULL, fork_there, NULL), ==, 0);
  gate_wait(&is_refused);
  child_check_int(atfork_register_after_fork(nothing, NULL), !=, 0);
  gate_wait(&begins_anew);
  pthread_mutex_unlock(&mutex);
  child_check_int(pthread_join(thread, NULL), ==, 0);
  is_usable();
}

static void test_others_register(void) {
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    make_mutex(types[i]);
    in_child(fork, others_register);
  }
}

/* Nothing is given up where there is no fork that waits. */
/* ---- It becomes free as a wait for it ends in vain ---- */

static pthread_t holder;
static struct gate leave;

static void *hold_until(void *unused) {
  pthread_mutex_lock(&mutex);
  gate_open(&ready);
  gate_wait(&leave);
  pthread_mutex_unlock(&mutex);
  return unused;
}

static void have_it_unlocked(void) {
  gate_open(&leave);
  child_check_int(pthread_join(holder, NULL), ==, 0);
}

static void free_at_last(void) {
  make_mutex(PTHREAD_MUTEX_NORMAL);
  child_check_int((atfork_register_mutex)(&mutex, 0), !=, 0);
  gate_make(&ready);
  gate_make(&leave);
  child_check_int(pthread_create(&holder, NULL, hold_until, NULL), ==, 0);
  gate_wait(&ready);
  while_waiting = have_it_unlocked;
  in_child(fork, is_usable);
  child_check(while_waiting == NULL);
  is_usable();
}

static void test_free_at_last(void) {
  in_child(fork, free_at_last);
}

static void test_gives_up(void) {
  g_assert_false(atfork_fork_gives_up());
}

/* What is locked as it is registered is not waited for, and of its type afterwards. */
static void test_registered_while_locked(void) {
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    make_mutex(types[i]);
    pthread_mutex_lock(&mutex);
    g_assert_cmpuint((atfork_register_mutex)(&mutex, 0), !=, 0);
    pthread_mutex_unlock(&mutex);
    in_child(fork, is_usable);
    is_usable();
    unregister_all();
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/mutex/another-has-it", test_another_has_it);
  g_test_add_func("/mutex/another-s-fork-has-it", test_another_s_fork_has_it);
  g_test_add_func("/mutex/a-thread-of-the-child-has-it", test_a_thread_of_the_child_has_it);
#ifdef __GLIBC__
  g_test_add_func("/mutex/it-has-it-itself", test_it_has_it_itself);
  g_test_add_func("/mutex/locked-a-moment-ago", test_locked_a_moment_ago);
#endif
  g_test_add_func("/mutex/nobody-has-it", test_nobody_has_it);
  g_test_add_func("/mutex/child-comes-back-into-parent", test_child_comes_back_into_parent);
  g_test_add_func("/mutex/unlocked-by-a-callback", test_unlocked_by_a_callback);
  g_test_add_func("/mutex/handlers-that-fork", test_handlers_that_fork);
  g_test_add_func("/mutex/handler-forks-in-the-child", test_handler_forks_in_the_child);
  g_test_add_func("/mutex/faults-are-let-in", test_faults_are_let_in);
  g_test_add_func("/mutex/others-register", test_others_register);
  g_test_add_func("/mutex/free-at-last", test_free_at_last);
  g_test_add_func("/mutex/gives-up", test_gives_up);
  g_test_add_func("/mutex/registered-while-locked", test_registered_while_locked);
  return g_test_run();
}
