/* SPDX-License-Identifier: MIT */
/*
 * Promise 8, from the load on: forks of a program that has not called the library.  Its children find their places all
 * the same, "0.1", "0.2", …, and the same ones in each run.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"
#include "pid_name.h"
#include "scenario.h"

static void expect_lineage(const char *wanted) {
  char lineage[64];
  atfork_lineage(lineage, sizeof lineage);
  if (strcmp(lineage, wanted) != 0) child_fails(__FILE__, __LINE__, lineage);
}

static void expect_pid_after(const char *parent) {
  char lineage[64];
  atfork_lineage(lineage, sizeof lineage);
  if (!is_pid_after(parent, lineage)) child_fails(__FILE__, __LINE__, lineage);
}

static const char *wanted;

static void is_wanted(void) {
  expect_lineage(wanted);
}

static void expect_child(const char *lineage) {
  pid_t pid = fork();
  if (pid == 0) {
    expect_lineage(lineage);
    child_passes();
  }
  expect_passed(pid);
}

/* ---- Other libraries' fork handlers: one that was there before ours, and one that comes after ---- */

static void (*at_early_handler)(void); /* each time; what follows, once */
static void (*in_early_prepare)(void), (*in_late_prepare)(void), (*in_late_child)(void);

static void do_once(void (**what)(void)) {
  void (*once)(void) = *what;
  if (once == NULL) return;
  *what = NULL;
  once();
}

static void on_late_prepare(void) {
  do_once(&in_late_prepare);
}
static void on_late_child(void) {
  do_once(&in_late_child);
}

#ifdef __GLIBC__
static void on_early_prepare(void) {
  if (at_early_handler != NULL) at_early_handler();
  do_once(&in_early_prepare);
}

static void on_early_parent(void) {
  if (at_early_handler != NULL) at_early_handler();
}

static void be_early(void) {
  if (pthread_atfork(on_early_prepare, on_early_parent, NULL) != 0) _exit(1);
}

/* Before the constructors of all shared objects. */
__attribute__((section(".preinit_array"), used)) static void (*const before_all)(void) = be_early;
#endif

/* ---- Children that make the first call ---- */

static void seeds_are_fixed(void) {
  g_assert_cmpuint(atfork_seed(0), ==, UINT64_C(11670748719748016110));
  g_assert_cmpuint(atfork_seed(42), ==, UINT64_C(9701797397034905281));
  child_check_int((atfork_generation)(), ==, 1);
}

static void in_a_row(void) {
  in_child(fork, seeds_are_fixed);
  expect_child("0.2");
  expect_child("0.3");
  expect_lineage("0");
  expect_child("0.4");
}

static void is_deepest(void) {
  expect_lineage("0.1.1.1");
  child_check_int(atfork_generation(), ==, 3);
}
static void is_deeper(void) {
  in_child(fork, is_deepest);
  expect_child("0.1.1.2");
  expect_lineage("0.1.1");
}
static void is_deep(void) {
  in_child(fork, is_deeper);
  expect_lineage("0.1");
}

static void nested(void) {
  in_child(fork, is_deep);
  expect_child("0.2");
}

/* ---- Threads ---- */

static void *look_there(void *unused) {
  is_wanted();
  return unused;
}

static void have_thread_look(void) {
  pthread_t thread;
  child_check_int(pthread_create(&thread, NULL, look_there, NULL), ==, 0);
  pthread_join(thread, NULL);
}

static void by_a_thread_of_the_child(void) {
  wanted = "0.1";
  in_child(fork, have_thread_look);
  wanted = "0.2";
  in_child(fork, have_thread_look);
}

enum { NOTES = 8, THREADS = NOTES + 1 };

/* Shared: the lineages of the children. */
static char (*found)[64];
static void (*find)(void);
static _Thread_local int number;

static void *note_lineage(void *of) {
  atfork_lineage(found[*(int *)of], sizeof found[0]);
  return NULL;
}

static void note_here(void) {
  note_lineage(&number);
}

static void *fork_there(void *of) {
  number = *(int *)of;
  in_child(fork, find);
  return NULL;
}

/* Where all forks have been given their numbers, and again before the first of them is over. */
static pthread_barrier_t all;

static void meet(void) {
  pthread_barrier_wait(&all);
}

static void fork_by_threads(unsigned threads, void (*what)(void)) {
  static int numbers[THREADS];
  pthread_t thread[THREADS];
  find = what;
  found = share(THREADS * sizeof *found);
  pthread_barrier_init(&all, NULL, threads);
  at_early_handler = meet;
  for (unsigned i = 0; i < threads; i++) {
    numbers[i] = (int)i;
    child_check_int(pthread_create(&thread[i], NULL, fork_there, &numbers[i]), ==, 0);
  }
  for (unsigned i = 0; i < threads; i++) pthread_join(thread[i], NULL);
  at_early_handler = NULL;
}

/* How many of the children are named by pids; all by different names. */
static int count_pids(unsigned threads) {
  int count = 0;
  for (unsigned i = 0; i < threads; i++) {
    int its_number = atoi(found[i] + 2);
    bool is_by_pid = found[i][2] == 'p';
    child_check(is_by_pid || (its_number >= 1 && its_number <= (int)threads));
    for (unsigned j = 0; j < i; j++) child_check(strcmp(found[i], found[j]) != 0);
    count += is_by_pid;
  }
  return count;
}

static void children_of_threads(void) {
  fork_by_threads(2, note_here);
  child_check_int(count_pids(2), ==, 0);
  wanted = "0.3";
  in_child(fork, have_thread_look);
}

/* All notes are taken. */
static void children_of_many_threads(void) {
  fork_by_threads(THREADS, note_here);
  child_check_int(count_pids(THREADS), ==, THREADS - NOTES);
  wanted = "0.10";
  in_child(fork, have_thread_look);
}

#ifndef __SANITIZE_THREAD__
static void note_there(void) {
  pthread_t thread;
  child_check_int(pthread_create(&thread, NULL, note_lineage, &number), ==, 0);
  pthread_join(thread, NULL);
}

/* Which of the two forks it was, a thread of the child cannot know. */
static void threads_of_children_of_threads(void) {
  fork_by_threads(2, note_there);
  child_check_int(count_pids(2), ==, 2);
  wanted = "0.3";
  in_child(fork, have_thread_look);
}
#endif

/* ---- Bypassing forks of what has not looked either ---- */

static pid_t (*bypass)(void);

static void is_bypassed(void) {
  expect_pid_after("0");
}

static void is_bypassed_later(void) {
  expect_pid_after(wanted);
}

static void bypasses_first(void) {
  in_child(bypass, is_bypassed);
  is_wanted();
  in_child(bypass, is_bypassed_later);
}

static void by_bypassing_forks(void) {
  char lineage[16];
  for (size_t i = 0; i < ways_count; i++) {
    bypass = ways[i].fork;
    if (!ways[i].bypasses) continue;
    snprintf(lineage, sizeof lineage, "0.%d", (int)i);
    wanted = lineage;
    in_child(fork, bypasses_first);
    in_child(bypass, is_bypassed);
  }
}

/* ---- A parent that has ended ---- */

static struct gate looked;

/* Its child looks when the gate is open. */
static struct gate open_for_orphan;

static void is_known(void) {
  expect_lineage("0.1.1");
}
static void (*be_orphan)(void) = is_known;

static void leave_an_orphan(void) {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid > 0) return;
  gate_wait(&open_for_orphan);
  while (getppid() == parent) g_thread_yield();
  be_orphan();
  gate_open(&looked);
  child_passes();
}

/* It is a zombie while the child looks. */
static void of_a_parent_that_has_ended(void) {
  gate_make(&looked);
  gate_make(&open_for_orphan);
  gate_open(&open_for_orphan);
  pid_t parent = fork();
  if (parent == 0) {
    leave_an_orphan();
    child_passes();
  }
  gate_wait(&looked);
  expect_passed(parent);
}

static void of_a_parent_that_is_gone(void) {
  gate_make(&looked);
  gate_make(&open_for_orphan);
  in_child(fork, leave_an_orphan);
  gate_open(&open_for_orphan);
  gate_wait(&looked);
}

/* Nothing tells it from what it makes itself, past all handlers, before it has looked: the first of them takes the name
 * that its parent has noted, and the others have names of their own. */
enum { ALIKE = 4 };

static void note_own(void) {
  atfork_lineage(found[number], sizeof found[number]);
}

static void make_others_alike(void) {
  for (number = 1; number < ALIKE; number++) in_child(ways[number].fork, note_own);
  number = 0;
  note_own();
}

static void bypassed_by_an_orphan(void) {
  found = share(sizeof *found * ALIKE);
  be_orphan = make_others_alike;
  of_a_parent_that_is_gone();
  g_assert_cmpstr(found[1], ==, "0.1.1");
  for (int i = 0; i < ALIKE; i++) {
    for (int j = 0; j < i; j++) g_assert_cmpstr(found[i], !=, found[j]);
  }
}

/* ---- A child that is none ---- */

static void by_vfork(void) {
  pid_t pid = vfork();
  if (pid == 0) _exit((atfork_generation)() == 0 ? CHILD_PASSED : 1);
  expect_passed(pid);
  expect_lineage("0");
  expect_child("0.1");
}

/* ---- Forks inside handlers ---- */

static void expect_first(void) {
  expect_child("0.1");
}
static void in_a_later_prepare(void) {
  in_late_prepare = expect_first;
  expect_child("0.2");
}

static void expect_grandchild(void) {
  expect_child("0.1.1");
}
static void in_a_later_child(void) {
  in_late_child = expect_grandchild;
  expect_child("0.1");
}

/* The inner fork takes the outer one's number away, in the child of the inner too, which goes on with the outer. */
static void fork_and_return(void) {
  pid_t pid = fork();
  if (pid > 0) expect_passed(pid);
}
static void is_outer(void) {
  if (atfork_generation() == 1) expect_pid_after("0");
  if (atfork_generation() == 2) expect_pid_after("0.2");
}
static void is_inner(void) {
  expect_lineage("0.2");
  expect_child("0.2.1");
}
static void in_an_earlier_prepare(void) {
  pid_t here = getpid();
  in_early_prepare = fork_and_return;
  in_child(fork, is_outer);
  if (getpid() != here) is_inner();
  if (getpid() != here) child_passes();
  expect_child("0.3");
}

/* ---- And then the first call ---- */

static int ran;

static void run(void *unused) {
  (void)unused;
  ran++;
}

static void ran_once(void) {
  is_wanted();
  child_check_int(ran, ==, 1);
}

static void before_the_first_hook(void) {
  expect_child("0.1");
  child_check_int(atfork_register_after_fork(run, NULL), !=, 0);
  wanted = "0.2";
  in_child(fork, ran_once);
  child_check_int(ran, ==, 0);
}

static void register_first(void) {
  child_check_int(atfork_register_after_fork(run, NULL), !=, 0);
}

/* Its fork's child missed it, to our knowledge: fork() does not call handlers that were added meanwhile. */
static void polls(void) {
  is_wanted();
  child_check_int(atfork_poll(), ==, 1);
  child_check_int(ran, ==, 1);
}

static void first_hook_in_a_prepare(void) {
  in_late_prepare = register_first;
  wanted = "0.1";
  in_child(fork, polls);
  wanted = "0.2";
  in_child(fork, ran_once);
}

static void expect_second(void) {
  expect_child("0.2");
}

static void register_first_and_fork(void) {
  register_first();
  expect_second();
}

/* Now our handlers run in the inner fork, and had not in the outer, whose number stays. */
static void first_hook_and_fork_in_a_prepare(void) {
  in_early_prepare = register_first_and_fork;
  expect_child("0.1");
  expect_child("0.3");
}

/* ---- A fork that fails uses up a number, as ever ---- */

static void fails(void) {
  char token[1024];
  child_check_int(scenario_forbid_forks(EAGAIN), ==, 0);
  child_check_int(fork(), ==, -1);
  child_check_int(errno, ==, EAGAIN);
  atfork_token(token, sizeof token);
  child_check(strstr(token, ":0.1.2:") != NULL);
}

static void that_fail(void) {
  in_child(fork, fails);
}

/* ---- Each in a program of its own ---- */

static const struct test_case {
  const char *path;
  void (*run)(void);
  bool has_early; /* needs handlers that run before ours, forks inside handlers, or children that do not look */
} cases[] = {
    {"/ready/in-a-row", in_a_row, false},
    {"/ready/nested", nested, false},
    {"/ready/by-a-thread-of-the-child", by_a_thread_of_the_child, false},
    {"/ready/children-of-threads", children_of_threads, true},
    {"/ready/children-of-many-threads", children_of_many_threads, true},
#ifndef __SANITIZE_THREAD__ /* starts none there */
    {"/ready/threads-of-children-of-threads", threads_of_children_of_threads, true},
#endif
    {"/ready/by-bypassing-forks", by_bypassing_forks, true},
    {"/ready/of-a-parent-that-has-ended", of_a_parent_that_has_ended, false},
    {"/ready/of-a-parent-that-is-gone", of_a_parent_that_is_gone, false},
    {"/ready/bypassed-by-an-orphan", bypassed_by_an_orphan, true},
    {"/ready/by-vfork", by_vfork, false},
    {"/ready/in-a-later-prepare", in_a_later_prepare, true},
    {"/ready/in-a-later-child", in_a_later_child, true},
    {"/ready/in-an-earlier-prepare", in_an_earlier_prepare, true},
    {"/ready/before-the-first-hook", before_the_first_hook, false},
    {"/ready/first-hook-in-a-prepare", first_hook_in_a_prepare, true},
    {"/ready/first-hook-and-fork-in-a-prepare", first_hook_and_fork_in_a_prepare, true},
    {"/ready/that-fail", that_fail, false},
};

static const char *cannot_be_emulated(const struct test_case *test) {
  if (test->run == by_vfork) return "an emulator makes vfork() a fork";
  if (test->run == that_fail) return "an emulator has no seccomp";
  return NULL;
}

static void test_case(gconstpointer of) {
  const struct test_case *test = of;
  const char *why_not = is_emulated ? cannot_be_emulated(test) : NULL;
  if (why_not != NULL) {
    g_test_skip(why_not);
    return;
  }
  pid_t pid = fork();
  if (pid == 0) run_again("--case", test->path);
  expect_passed(pid);
}

static int run_case(const char *path) {
  if (pthread_atfork(on_late_prepare, NULL, on_late_child) != 0) return 1;
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    if (strcmp(cases[i].path, path) == 0) cases[i].run();
  child_passes();
}

static bool is_possible(const struct test_case *test) {
#ifndef __GLIBC__
  if (test->has_early) return false;
#endif
  return test->run != by_vfork || is_emulated || (pages_are_wiped && has_vfork());
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--case") == 0) return run_case(argv[2]);
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    if (is_possible(&cases[i])) g_test_add_data_func(cases[i].path, &cases[i], test_case);
  return g_test_run();
}
