/* SPDX-License-Identifier: MIT */
/* Promise 8: processes that have one pid, one after the other or in two namespaces, are not taken for each other. */
#include <atfork.h>
#include <fcntl.h>
#include <glib.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clone3.h"
#include "forks.h"

static int ran, made;
static struct atfork_once control;

static void count(void *unused) {
  (void)unused;
  ran++;
}

static void make(void *unused) {
  (void)unused;
  made++;
}

/* ---- A pid namespace, in which nobody else takes pids ---- */

static bool begin_namespace(void) {
  return unshare(CLONE_NEWPID) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0;
}

/* The next process of this namespace has this pid; false where that may not be had. */
static bool choose_next(pid_t pid) {
  int file = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
  bool is_chosen = file >= 0 && dprintf(file, "%d", (int)pid - 1) > 0;
  if (file >= 0) close(file);
  return is_chosen;
}

static void (*body)(void);

static void begin(void) {
  child_check(begin_namespace());
  in_child(fork, body);
}

/* Runs what is called in the first process of a new namespace. */
static void in_namespace(void (*what)(void)) {
  body = what;
  in_child(fork, begin);
}

static pid_t fork_with_pid(pid_t (*way)(void), pid_t pid) {
  child_check(choose_next(pid));
  pid_t made_pid = way();
  if (made_pid == 0) child_check_int(getpid(), ==, pid);
  return made_pid;
}

/* ---- A sibling that has ended ---- */

struct who {
  char lineage[64];
  uint64_t seed, generation;
  int ran;
};

static void look(struct who *who) {
  atfork_poll();
  atfork_lineage(who->lineage, sizeof who->lineage);
  who->seed = atfork_seed(0);
  who->generation = atfork_generation();
  who->ran = ran;
}

static struct who *others; /* shared by all */
static pid_t (*way)(void), (*last_way)(void);

enum { SIBLINGS = 4, CHOSEN = 4711 };
static bool parent_looks;

static void make_siblings(void) {
  if (parent_looks) atfork_generation();
  for (int i = 0; i < SIBLINGS; i++) {
    pid_t pid = fork_with_pid(way, CHOSEN);
    if (pid == 0) {
      look(&others[i]);
      child_passes();
    }
    expect_passed(pid);
  }
}

static void expect_different(int siblings) {
  for (int i = 0; i < siblings; i++) {
    for (int j = 0; j < i; j++) {
      g_assert_cmpstr(others[i].lineage, !=, others[j].lineage);
      g_assert_cmpuint(others[i].seed, !=, others[j].seed);
    }
  }
}

static void test_of_a_sibling(void) {
  for (size_t i = 0; i < ways_count; i++) {
    way = ways[i].fork;
    for (int looks = 0; looks < 2; looks++) {
      parent_looks = looks == 1;
      in_namespace(make_siblings);
      expect_different(SIBLINGS);
    }
  }
}

/* ---- Siblings that live, each the first process of a namespace of its own ---- */

static pid_t begin_by_clone3(void) {
  uint64_t user = geteuid() == 0 ? 0 : CLONE_NEWUSER;
  return clone3(&(struct clone3_arguments){.flags = CLONE_NEWPID | user, .exit_signal = SIGCHLD});
}

static void test_in_namespaces(void) {
  pid_t pids[SIBLINGS];
  struct gate looked, leave;
  gate_make(&looked);
  gate_make(&leave);
  for (int i = 0; i < SIBLINGS; i++) {
    pids[i] = begin_by_clone3();
    if (pids[i] == 0) {
      child_check_int(getpid(), ==, 1);
      look(&others[i]);
      gate_open(&looked);
      gate_wait(&leave);
      child_passes();
    }
    g_assert_cmpint(pids[i], >, 0);
    gate_wait(&looked);
  }
  expect_different(SIBLINGS);
  for (int i = 0; i < SIBLINGS; i++) gate_open(&leave);
  for (int i = 0; i < SIBLINGS; i++) expect_passed(pids[i]);
}

/* The first of a namespace makes the first of another, past all fork handlers: only wiped memory tells them apart. */
static void make_first(void) {
  look(&others[0]);
  pid_t pid = begin_by_clone3();
  child_check_int(pid, >=, 0);
  if (pid == 0) {
    child_check_int(getpid(), ==, 1);
    look(&others[1]);
    child_passes();
  }
  expect_passed(pid);
}

static void test_of_the_parent(void) {
  in_namespace(make_first);
  expect_different(2);
  g_assert_cmpuint(others[1].generation, ==, others[0].generation + 1);
}

/* ---- A grandparent that has ended ---- */

static bool middle_looks;
static pid_t *middle; /* shared by all */
static struct gate first_is_gone;

static void be_last(void) {
  bool was_seen = middle_looks || way == fork || last_way == fork;
  uint64_t deeper = was_seen ? 2 : 1;
  look(&others[1]);
  child_check_int(others[1].generation, ==, others[0].generation + deeper);
  child_check_int(others[1].ran, ==, others[0].ran + (int)deeper);
  child_check(strcmp(others[1].lineage, others[0].lineage) != 0);
  child_check(others[1].seed != others[0].seed);
  atfork_once(&control, make, NULL);
  child_check_int(made, ==, 2);
  child_passes();
}

static void be_middle(pid_t first) {
  if (middle_looks) atfork_poll();
  gate_wait(&first_is_gone);
  pid_t pid = fork_with_pid(last_way, first);
  if (pid == 0) be_last();
  expect_passed(pid);
  child_passes();
}

static void be_first(void) {
  made = 0;
  atfork_once(&control, make, NULL);
  look(&others[0]);
  pid_t own = getpid(), pid = way();
  child_check_int(pid, >=, 0);
  if (pid == 0) be_middle(own);
  *middle = pid;
  child_passes();
}

/* Adopts the middle one when the first has ended. */
static void make_first_of_three(void) {
  gate_make(&first_is_gone);
  pid_t pid = fork();
  if (pid == 0) be_first();
  expect_passed(pid);
  gate_open(&first_is_gone);
  expect_passed(*middle);
}

static void check_grandparent(void) {
  atfork_id id = atfork_register_after_fork(count, NULL);
  in_namespace(make_first_of_three);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

static void test_of_a_grandparent(void) {
  for (size_t i = 0; i < ways_count; i++) {
    for (size_t j = 0; j < ways_count; j++) {
      way = ways[i].fork;
      last_way = ways[j].fork;
      middle_looks = true;
      check_grandparent();
      /* Where pids are compared, nothing tells that a process was between them. */
      middle_looks = false;
      if (pages_are_wiped || way == fork || last_way == fork) check_grandparent();
    }
  }
}

/* ---- Where it can be had ---- */

static void ask_for_pid(void) {
  if (!choose_next(CHOSEN)) _exit(1);
}

static bool pids_can_be_chosen(void) {
  int status;
  pid_t pid = fork_by_clone();
  if (pid == 0) {
    if (!begin_namespace()) _exit(1);
    pid_t first = fork_by_clone();
    if (first == 0) {
      ask_for_pid();
      _exit(0);
    }
    _exit(waitpid(first, &status, 0) == first && status == 0 ? 0 : 1);
  }
  return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool namespaces_can_be_cloned(void) {
  int status;
  pid_t pid = begin_by_clone3();
  if (pid == 0) _exit(0);
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_skipped(void) {
  g_test_skip("this process may choose no pids");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  others = share(sizeof *others * SIBLINGS);
  middle = share(sizeof *middle);
  bool can = pids_can_be_chosen(), can_clone = namespaces_can_be_cloned();
  g_test_add_func("/same-pid/of-a-sibling", can ? test_of_a_sibling : test_skipped);
  g_test_add_func("/same-pid/in-namespaces", can_clone ? test_in_namespaces : test_skipped);
  if (pages_are_wiped) g_test_add_func("/same-pid/of-the-parent", can && can_clone ? test_of_the_parent : test_skipped);
  g_test_add_func("/same-pid/of-a-grandparent", can ? test_of_a_grandparent : test_skipped);
  return g_test_run();
}
