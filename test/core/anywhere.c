/* SPDX-License-Identifier: MIT */
/* Promises 3 and 8: a fork is noticed wherever it is made, in a thread's life and in a process's. */
#include <atfork.h>
#include <dlfcn.h>
#include <glib.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <ucontext.h>
#endif

#include "calling.h"
#include "forks.h"

static int prepared, parented, ran;

static void count(void *counter) {
  ++*(int *)counter;
}

/* ---- What is made there ---- */

static uint64_t parents_generation;

static void is_new(void) {
  int already = ran;
  child_check_int(atfork_generation(), ==, parents_generation + 1);
  child_check_int(atfork_poll(), ==, 1 - already);
  child_check_int(ran, ==, 1);
}

/* By each way, and by the first of them again. */
static void make_children(void) {
  parents_generation = atfork_generation();
  for (size_t i = 0; i <= ways_count; i++) {
    prepared = parented = ran = 0;
    in_child(ways[i % ways_count].fork, is_new);
    child_check_int(prepared, ==, ways[i % ways_count].bypasses ? 0 : 1);
    child_check_int(parented, ==, prepared);
    child_check_int(ran, ==, 0);
  }
}

/* Of a process that has not called the library: the number of a fork, and no pid. */
static void is_first(void) {
  char lineage[64];
  atfork_lineage(lineage, sizeof lineage);
  if (strcmp(strrchr(lineage, '.'), ".1") != 0) child_fails(__FILE__, __LINE__, lineage);
}

static void make_first_child(void) {
  in_child(fork, is_first);
}

static void (*act)(void) = make_children;

/* ---- Signals and stacks ---- */

static void on_signal(int signal) {
  (void)signal;
  act();
}

static void in_a_signal_handler(void) {
  signal(SIGUSR1, on_signal);
  raise(SIGUSR1);
}

enum { STACK = 1 << 18 };

static void on_a_signal_stack(void) {
  stack_t other = {.ss_sp = malloc(STACK), .ss_size = STACK};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  child_check_int(sigaltstack(&other, NULL), ==, 0);
  child_check_int(sigaction(SIGUSR1, &action, NULL), ==, 0);
  raise(SIGUSR1);
}

#ifdef __GLIBC__
static ucontext_t outside, inside;

static void on_a_stack_of_its_own(void) {
  getcontext(&inside);
  inside.uc_stack = (stack_t){.ss_sp = malloc(STACK), .ss_size = STACK};
  inside.uc_link = &outside;
  makecontext(&inside, act, 0);
  child_check_int(swapcontext(&outside, &inside), ==, 0);
}
#endif

/* ---- A thread's life ---- */

static void run_thread(const pthread_attr_t *attributes, void *(*run)(void *), void *data) {
  pthread_t thread;
  child_check_int(pthread_create(&thread, attributes, run, data), ==, 0);
  child_check_int(pthread_join(thread, NULL), ==, 0);
}

static void *act_there(void *unused) {
  act();
  return unused;
}

static void in_a_thread(void) {
  run_thread(NULL, act_there, NULL);
}

/* A sanitizer needs more of it. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HAS_SMALL_STACKS
/* What the C library gives its own data of a thread there, and a test's calls, besides. */
static void on_the_smallest_stack(void) {
  enum { FOR_THE_TEST = 16384 };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
  child_check_int(pthread_attr_setstacksize(&attributes, least + FOR_THE_TEST), ==, 0);
  run_thread(&attributes, act_there, NULL);
}
#endif

static pthread_key_t key;

static void *have_data(void *unused) {
  pthread_setspecific(key, &key);
  return unused;
}

static void destroy_data(void *unused) {
  (void)unused;
  act();
}

static void in_a_destructor_of_thread_data(void) {
  child_check_int(pthread_key_create(&key, destroy_data), ==, 0);
  run_thread(NULL, have_data, NULL);
}

static struct gate started;

static void clean_up(void *unused) {
  (void)unused;
  act();
}

static void *wait_to_be_cancelled(void *unused) {
  pthread_cleanup_push(clean_up, NULL);
  gate_open(&started);
  for (;;) pause();
  pthread_cleanup_pop(0);
  return unused;
}

static void in_a_cancelled_thread_s_cleanup(void) {
  pthread_t thread;
  gate_make(&started);
  child_check_int(pthread_create(&thread, NULL, wait_to_be_cancelled, NULL), ==, 0);
  gate_wait(&started);
  child_check_int(pthread_cancel(thread), ==, 0);
  child_check_int(pthread_join(thread, NULL), ==, 0);
}

/* To ThreadSanitizer that one is none that can be waited for. */
#ifndef __SANITIZE_THREAD__
static void *act_alone(void *first) {
  child_check_int(pthread_join(*(pthread_t *)first, NULL), ==, 0);
  act();
  child_passes();
}

static void after_the_first_thread(void) {
  static pthread_t first;
  pthread_t thread;
  first = pthread_self();
  child_check_int(pthread_create(&thread, NULL, act_alone, &first), ==, 0);
  pthread_exit(NULL);
}
#endif

/* ---- A process's life ---- */

static void on_exit_of_process(void) {
  act();
  child_passes();
}

static void at_exit(void) {
  child_check_int(atexit(on_exit_of_process), ==, 0);
  exit(1);
}

/* What the shared object that is loaded calls, as it comes and as it goes. */
void (*at_load)(void), (*at_unload)(void);

static void load_and_unload(void) {
  void *loaded = dlopen(CALLING, RTLD_NOW | RTLD_LOCAL);
  if (loaded == NULL) child_fails(__FILE__, __LINE__, dlerror());
  child_check_int(dlclose(loaded), ==, 0);
}

static bool has_acted;

static void act_once(void) {
  act();
  has_acted = true;
}

static void in_a_constructor(void) {
  at_load = act_once;
  load_and_unload();
  child_check(has_acted);
}

static void in_a_destructor(void) {
  at_unload = act_once;
  load_and_unload();
  child_check(has_acted);
}

/* ---- Each in a process of its own ---- */

static const struct place {
  const char *name;
  void (*be_there)(void);
} places[] = {
    {"in-a-signal-handler", in_a_signal_handler},
    {"on-a-signal-stack", on_a_signal_stack},
#ifdef __GLIBC__
    {"on-a-stack-of-its-own", on_a_stack_of_its_own},
#endif
    {"in-a-thread", in_a_thread},
#ifdef HAS_SMALL_STACKS
    {"on-the-smallest-stack", on_the_smallest_stack},
#endif
    {"in-a-destructor-of-thread-data", in_a_destructor_of_thread_data},
    {"in-a-cancelled-thread-s-cleanup", in_a_cancelled_thread_s_cleanup},
#ifndef __SANITIZE_THREAD__
    {"after-the-first-thread", after_the_first_thread},
#endif
    {"at-exit", at_exit},
    {"in-a-constructor", in_a_constructor},
    {"in-a-destructor", in_a_destructor},
};

static void test_with_hooks(gconstpointer data) {
  const struct place *place = data;
  atfork_register(&(struct atfork_hook){.prepare = count, .data = &prepared});
  atfork_register(&(struct atfork_hook){.parent = count, .data = &parented});
  atfork_register_after_fork(count, &ran);
  in_child(fork, place->be_there);
  unregister_all();
}

static int be_first(const char *name) {
  act = make_first_child;
  for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
    if (strcmp(places[i].name, name) == 0) places[i].be_there();
  child_passes();
}

static void test_before_the_first_call(gconstpointer data) {
  const struct place *place = data;
  pid_t pid = fork();
  if (pid == 0) run_again("--first", place->name);
  expect_passed(pid);
}

static void add(const char *group, const struct place *place, void (*test)(gconstpointer data)) {
  char path[128];
  snprintf(path, sizeof path, "/anywhere/%s/%s", group, place->name);
  g_test_add_data_func(path, place, test);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--first") == 0) return be_first(argv[2]);
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
    add("with-hooks", &places[i], test_with_hooks);
    add("before-the-first-call", &places[i], test_before_the_first_call);
  }
  return g_test_run();
}
