/* SPDX-License-Identifier: MIT */
/*
 * Promises 9 and 13: a fork locks and unlocks a mutex once, also when callbacks, signal handlers or other threads run
 * in between.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "callbacks.h"
#include "fork.h" /* the library's own */
#include "forks.h"
#include "mutexes.h"

/* ---- What stands between the library and the system ---- */

/* Done once, after the library has locked a mutex, or before it unlocks one. */
static void (*once_locked)(void), (*before_unlocking)(void);

static void do_once(void (**what)(void)) {
  void (*once)(void) = *what;
  *what = NULL;
  if (once != NULL) once();
}

int __real_pthread_mutex_trylock(pthread_mutex_t *which);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *which);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *which) {
  int error = __real_pthread_mutex_trylock(which);
  if (error == 0) do_once(&once_locked);
  return error;
}

/* Done once, in the place of a wait that ends in vain. */
static void (*while_waiting)(void);

int __real_pthread_mutex_timedlock(pthread_mutex_t *which, const struct timespec *until);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *which, const struct timespec *until);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *which, const struct timespec *until) {
  if (while_waiting == NULL) return __real_pthread_mutex_timedlock(which, until);
  do_once(&while_waiting);
  return ETIMEDOUT;
}

int __real_pthread_mutex_unlock(pthread_mutex_t *which);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *which);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *which) {
  do_once(&before_unlocking);
  return __real_pthread_mutex_unlock(which);
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

/* Nothing is given up where there is no fork that waits. */
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
  g_test_add_func("/mutex-interrupted/child-comes-back-into-parent", test_child_comes_back_into_parent);
  g_test_add_func("/mutex-interrupted/unlocked-by-a-callback", test_unlocked_by_a_callback);
  g_test_add_func("/mutex-interrupted/handlers-that-fork", test_handlers_that_fork);
  g_test_add_func("/mutex-interrupted/handler-forks-in-the-child", test_handler_forks_in_the_child);
  g_test_add_func("/mutex-interrupted/faults-are-let-in", test_faults_are_let_in);
  g_test_add_func("/mutex-interrupted/others-register", test_others_register);
  g_test_add_func("/mutex-interrupted/free-at-last", test_free_at_last);
  g_test_add_func("/mutex-interrupted/gives-up", test_gives_up);
  g_test_add_func("/mutex-interrupted/registered-while-locked", test_registered_while_locked);
  return g_test_run();
}
