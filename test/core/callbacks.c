/* SPDX-License-Identifier: MIT */
/* Promises 1 to 4: a hook's callbacks are what was registered, each in its phase, its process and the forking thread.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "forks.h"

enum phase { PREPARE, PARENT, CHILD, PHASES };

static int runs[PHASES];

static void count(void *counter) {
  ++*(int *)counter;
}

/* ---- Any of the three may be missing ---- */

static unsigned given; /* a bit for each phase */

static int expected(enum phase phase) {
  return given >> phase & 1;
}

static void prepare(void *unused) {
  (void)unused;
  count(&runs[PREPARE]);
}
static void parent(void *unused) {
  (void)unused;
  count(&runs[PARENT]);
}
static void child(void *unused) {
  (void)unused;
  count(&runs[CHILD]);
}

static void ran_there(void) {
  child_check_int(runs[PREPARE], ==, expected(PREPARE));
  child_check_int(runs[PARENT], ==, 0);
  child_check_int(runs[CHILD], ==, expected(CHILD));
}

static void test_each_subset(void) {
  for (given = 1; given < 1 << PHASES; given++) {
    struct atfork_hook hook = {.prepare = expected(PREPARE) ? prepare : NULL,
                               .parent = expected(PARENT) ? parent : NULL,
                               .child = expected(CHILD) ? child : NULL};
    atfork_id id = atfork_register(&hook);
    g_assert_cmpuint(id, !=, 0);
    for (int i = 0; i < PHASES; i++) runs[i] = 0;
    in_child(fork, ran_there);
    g_assert_cmpint(runs[PREPARE], ==, expected(PREPARE));
    g_assert_cmpint(runs[PARENT], ==, expected(PARENT));
    g_assert_cmpint(runs[CHILD], ==, 0);
    g_assert_cmpint(atfork_unregister(id), ==, 0);
  }
}

/* ---- Where they run ---- */

struct where {
  pthread_t thread;
  pid_t process, parent;
};
static struct where seen[PHASES];

static void note_where(void *phase) {
  *(struct where *)phase = (struct where){pthread_self(), getpid(), getppid()};
}

static pid_t forking;

static void are_there(void) {
  child_check(pthread_equal(seen[PREPARE].thread, pthread_self()));
  child_check(pthread_equal(seen[CHILD].thread, pthread_self()));
  child_check_int(seen[PREPARE].process, ==, forking);
  child_check_int(seen[CHILD].process, ==, getpid());
  child_check_int(seen[CHILD].parent, ==, forking);
}

static void *fork_there(void *unused) {
  forking = getpid();
  in_child(fork, are_there);
  g_assert_true(pthread_equal(seen[PARENT].thread, pthread_self()));
  g_assert_cmpint(seen[PARENT].process, ==, forking);
  return unused;
}

static void test_in_the_forking_thread(void) {
  pthread_t thread;
  atfork_register(&(struct atfork_hook){.prepare = note_where, .data = &seen[PREPARE]});
  atfork_register(&(struct atfork_hook){.parent = note_where, .data = &seen[PARENT]});
  atfork_register(&(struct atfork_hook){.child = note_where, .data = &seen[CHILD]});
  fork_there(NULL);
  g_assert_cmpint(pthread_create(&thread, NULL, fork_there, NULL), ==, 0);
  pthread_join(thread, NULL);
  unregister_all();
}

/* ---- Threads that a library of the program's has, in each process ---- */

struct pool {
  pthread_t thread;
  struct gate work, done;
  pid_t worked_in;
};
static struct pool pool;

static void *work(void *unused) {
  for (;;) {
    gate_wait(&pool.work);
    pool.worked_in = getpid();
    gate_open(&pool.done);
  }
  return unused;
}

static void start_pool(void *unused) {
  (void)unused;
  gate_make(&pool.work);
  gate_make(&pool.done);
  if (pthread_create(&pool.thread, NULL, work, NULL) != 0) abort();
}

static void use_pool(void) {
  gate_open(&pool.work);
  gate_wait(&pool.done);
  child_check_int(pool.worked_in, ==, getpid());
}

static void use_pool_and_fork(void) {
  use_pool();
  in_child(fork, use_pool);
  use_pool();
}

/* In a process of its own, as the thread goes on for ever. */
static void have_pool(void) {
  start_pool(NULL);
  child_check_int(atfork_register_after_fork(start_pool, NULL), !=, 0);
  use_pool();
  in_child(fork, use_pool_and_fork);
  use_pool();
}

static void test_start_threads(void) {
  in_child(fork, have_pool);
}

/* ---- Signals while hooks come and go ---- */

static bool stop;

static void ignore(int signal) {
  (void)signal;
}

static void *keep_interrupting(void *thread) {
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) pthread_kill(*(pthread_t *)thread, SIGUSR1);
  return NULL;
}

/* No call says that it was interrupted, nor does a fork cost a callback. */
static void test_interrupted(void) {
  pthread_t self = pthread_self(), other;
  struct sigaction interrupts = {.sa_handler = ignore}, before; /* system calls are not begun again */
  sigaction(SIGUSR1, &interrupts, &before);
  stop = false;
  runs[PARENT] = 0;
  pthread_create(&other, NULL, keep_interrupting, &self);
  for (int i = 1; i <= rounds(200); i++) {
    errno = 0;
    atfork_id id = atfork_register(&(struct atfork_hook){.parent = count, .data = &runs[PARENT]});
    g_assert_cmpuint(id, !=, 0);
    in_child(fork, child_passes);
    g_assert_cmpint(runs[PARENT], ==, i);
    g_assert_cmpint(atfork_unregister(id), ==, 0);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  pthread_join(other, NULL);
  sigaction(SIGUSR1, &before, NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/callbacks/each-subset", test_each_subset);
  g_test_add_func("/callbacks/in-the-forking-thread", test_in_the_forking_thread);
  /* ThreadSanitizer lets the child of a process with threads have none. */
#ifdef __SANITIZE_THREAD__
  (void)test_start_threads;
#else
  g_test_add_func("/callbacks/start-threads", test_start_threads);
#endif
  add_race("/callbacks/interrupted", test_interrupted);
  return g_test_run();
}
