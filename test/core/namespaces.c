/* SPDX-License-Identifier: MIT */
/*
 * Promise 8, where a child has its parent's pid: the first process of a pid namespace, which is 1 there, forks the
 * first one of another.
 */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forks.h"

/* The next child of this process is the first of a new namespace; false where that may not be had. */
static bool begin_namespace(void) {
  return unshare(CLONE_NEWPID) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0;
}

/* Run in the first process of a new namespace, and then in the first of a namespace that this one begins. */
static void (*before)(void), (*body)(void);

static void be_inner(void) {
  child_check_int(getpid(), ==, 1);
  body();
}

static void be_outer(void) {
  child_check_int(getpid(), ==, 1);
  if (before != NULL) before();
  child_check(begin_namespace());
  in_child(fork, be_inner);
}

static void begin_namespaces(void) {
  child_check(begin_namespace());
  in_child(fork, be_outer);
}

static void expect_lineage(const char *wanted) {
  char lineage[64];
  atfork_lineage(lineage, sizeof lineage);
  if (strcmp(lineage, wanted) != 0) child_fails(__FILE__, __LINE__, lineage);
}

/* ---- Before the first call, in a program of its own ---- */

static void makes_the_first_call(void) {
  expect_lineage("0.1.1.1");
  child_check_int(atfork_generation(), ==, 3);
}

static int run_case(void) {
  body = makes_the_first_call;
  in_child(fork, begin_namespaces);
  child_passes();
}

static void test_before_the_first_call(void) {
  pid_t pid = fork();
  if (pid == 0) run_again("--case", NULL);
  expect_passed(pid);
}

/* ---- A bypassing fork before the first call ---- */

static void expect_pid_after(const char *parent) {
  char wanted[64];
  snprintf(wanted, sizeof wanted, "%s.p%d", parent, (int)getpid());
  expect_lineage(wanted);
}

static const char *forking;

static void is_bypassed(void) {
  expect_pid_after(forking);
}

/* Looks after its child. */
static void bypasses_first(void) {
  char own[64];
  in_child(fork_by_clone, is_bypassed);
  snprintf(own, sizeof own, "%s.1", forking);
  expect_lineage(own);
}

static void forks(void) {
  in_child(fork, bypasses_first);
}

/* In /proc, which is that of the namespace outside, other processes have the numbers of these.  Its process 1, as of
 * any namespace, is above all others. */
static void forks_where_proc_is_foreign(void) {
  forking = "0.1.1.1";
  forks();
  forking = "0.1.1.1.2";
  in_child(fork, forks);
}

static int run_bypassing_case(void) {
  body = forks_where_proc_is_foreign;
  in_child(fork, begin_namespaces);
  child_passes();
}

static void test_bypassed_before_the_first_call(void) {
  if (is_emulated) {
    g_test_skip("the emulator makes up /proc/self/stat");
    return;
  }
  pid_t pid = fork();
  if (pid == 0) run_again("--bypassing-case", NULL);
  expect_passed(pid);
}

/* ---- With hooks ---- */

static int ran, made;

static void run(void *unused) {
  (void)unused;
  ran++;
}

static void make(void *unused) {
  (void)unused;
  made++;
}

/* Once in the process that begins namespaces, in the first of the outer one, and here. */
static void ran_once(void) {
  child_check_int(ran, ==, 3);
  child_check_int(atfork_poll(), ==, 0);
  child_check_int(atfork_generation(), ==, 3);
}

static void ran_once_more(void) {
  child_check_int(ran, ==, 4);
}

static struct atfork_once control;

static void makes_its_own(void) {
  ran_once();
  atfork_once(&control, make, NULL);
  child_check_int(made, ==, 2);
  for (int i = 0; i < 100; i++) child_check_int(atfork_unregister(atfork_register_after_fork(run, NULL)), ==, 0);
  in_child(fork, ran_once_more);
}

static void test_hooks_run_once(void) {
  ran = made = 0;
  body = makes_its_own;
  atfork_id id = atfork_register_after_fork(run, NULL);
  atfork_once(&control, make, NULL);
  in_child(fork, begin_namespaces);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

/* ---- Beside a thread that is in the middle of something ---- */

static struct gate gate;

_Noreturn static int stay(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  gate_open(&gate);
  for (;;) pause();
}

static void *visit_for_ever(void *unused) {
  atfork_foreach(stay, NULL);
  return unused;
}

static void start_a_thread(void) {
  pthread_t thread;
  child_check_int(pthread_create(&thread, NULL, visit_for_ever, NULL), ==, 0);
  gate_wait(&gate);
}

static atfork_id hook;

/* Waits for nobody's visit. */
static void unregisters(void) {
  child_check_int(atfork_unregister(hook), ==, 0);
}

static void test_threads_are_gone(void) {
  gate_make(&gate);
  before = start_a_thread;
  body = unregisters;
  hook = atfork_register_after_fork(run, NULL);
  in_child(fork, begin_namespaces);
  g_assert_cmpint(atfork_unregister(hook), ==, 0);
}

static bool namespaces_can_be_had(void) {
  int status;
  pid_t pid = fork_by_clone();
  if (pid == 0) _exit(begin_namespace() ? 0 : 1);
  return waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_skipped(void) {
  g_test_skip("this process may begin no pid namespace");
}

/* ThreadSanitizer lets a child of a process with threads have none, and waits for those of the parent. */
#ifdef __SANITIZE_THREAD__
#define LOSES_THREADS false
#else
#define LOSES_THREADS true
#endif

/* Elsewhere a process looks in its fork's handler already, so its children are named after it. */
#ifdef __GLIBC__
#define LOOKS_LATE true
#else
#define LOOKS_LATE false
#endif

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--case") == 0) return run_case();
  if (argc == 2 && strcmp(argv[1], "--bypassing-case") == 0) return run_bypassing_case();
  g_test_init(&argc, &argv, NULL);
  bool can = namespaces_can_be_had();
  g_test_add_func("/namespaces/before-the-first-call", can ? test_before_the_first_call : test_skipped);
  if (LOOKS_LATE)
    g_test_add_func("/namespaces/bypassed-before-the-first-call",
                    can ? test_bypassed_before_the_first_call : test_skipped);
  g_test_add_func("/namespaces/hooks-run-once", can ? test_hooks_run_once : test_skipped);
  if (LOSES_THREADS) g_test_add_func("/namespaces/threads-are-gone", can ? test_threads_are_gone : test_skipped);
  return g_test_run();
}
