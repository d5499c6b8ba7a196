/* SPDX-License-Identifier: MIT */
/*
 * Promises 8, 10 and 17, fault injection: the library is loaded, and makes its first calls, while the system refuses
 * what it asks for.  The program runs all the same, as well as it can.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "forks.h"
#include "patience.h"
#include "pid_name.h"

/* ---- In the program that is loaded ---- */

static const char faults[] = "ATFORK_TEST_FAULTS";
static int first, many, requests;
static bool is_numbered = true; /* the C library has our handlers that number forks */

/* In the program itself, and so before the library's own. */
__attribute__((constructor(101))) static void arm_at_load(void) {
  const char *which = getenv(faults);
  if (which != NULL && sscanf(which, "%d %d", &first, &many) == 2) fault_arm(first, many);
}

static int ran;

static void run(void *unused) {
  (void)unused;
  ran++;
}

static void expect_lineage(const char *wanted) {
  char lineage[64];
  child_check_int(atfork_lineage(lineage, sizeof lineage), ==, strlen(lineage));
  if (strcmp(lineage, wanted) != 0) child_fails(__FILE__, __LINE__, lineage);
}

static void is_named_by_its_pid(void) {
  char lineage[64];
  atfork_lineage(lineage, sizeof lineage);
  child_check(is_pid_after("0", lineage));
}

static void knows_its_place(void) {
  char wanted[64];
  snprintf(wanted, sizeof wanted, is_numbered ? "0.1" : "0.p%d", (int)getpid());
  expect_lineage(wanted);
  child_check_int(atfork_generation(), ==, 1);
  child_check_int(atfork_place(), ==, ATFORK_FORKED);
}

static void has_run_the_hook(void) {
  expect_lineage(is_numbered ? "0.2" : "0.1");
  child_check_int(ran, ==, 1);
}

/* A process that is not told of forks yet may be told later. */
static void be_root(const char *unused) {
  (void)unused;
  /* musl takes memory for it from its malloc(). */
  is_numbered = !fault_has_refused("pthread_atfork") && !fault_has_refused("malloc");
  in_child(fork, knows_its_place);
  child_check_int(atfork_place(), ==, ATFORK_ROOT);
  expect_lineage("0");
  if (atfork_register_after_fork(run, NULL) == 0) {
    child_check_int(errno, ==, ENOMEM);
    requests = fault_disarm();
    child_check_int(atfork_register_after_fork(run, NULL), !=, 0);
  }
  in_child(fork, has_run_the_hook);
  in_child(fork_by_syscall, is_named_by_its_pid);
  child_check_int(ran, ==, 0);
}

/* Those are there before the place is taken whose registration has not failed. */
static void take_place(int (*call)(const char *argument), const char *argument, const char *lineage) {
  bool has_hook = atfork_register_after_fork(run, NULL) != 0;
  errno = ERANGE;
  child_check_int(call(argument), ==, 0);
  child_check_int(errno, ==, ERANGE);
  child_check_int(ran, ==, has_hook);
  child_check_int(atfork_generation(), ==, 1);
  expect_lineage(lineage);
}

static void be_spawned(const char *token) {
  take_place(atfork_spawned, token, "0.1");
  child_check_int(atfork_place(), ==, ATFORK_SPAWNED);
}

static void be_adopted(const char *rank) {
  take_place(atfork_adopt, rank, "0.r3");
  child_check_int(atfork_place(), ==, ATFORK_ADOPTED);
}

static const struct beginning {
  const char *name;
  void (*body)(const char *argument);
  const char *variable, *value; /* set in its environment; may be NULL */
  int least;                    /* so many requests it makes at least */
} beginnings[] = {
    {"/torture/load/root", be_root, NULL, NULL, 6},
    {"/torture/load/root-of-given-run", be_root, "ATFORK_RUN", "7", 5},
    {"/torture/load/root-of-no-run", be_root, "ATFORK_RUN", "seven", 7},
    {"/torture/load/spawned", be_spawned, NULL, NULL, 6},
    {"/torture/load/adopted", be_adopted, NULL, NULL, 6},
};

enum { PASSED_ALL = CHILD_PASSED + 1 }; /* there was no such request any more */

static int be_loaded(const char *which, const char *argument) {
  beginnings[atoi(which)].body(argument);
  requests += fault_disarm();
  return requests < first ? PASSED_ALL : CHILD_PASSED;
}

/* ---- In the test ---- */

static char token[1024];

/* How it ended. */
static int load(const struct beginning *beginning) {
  char which[32], index[12];
  snprintf(which, sizeof which, "%d %d", first, many);
  snprintf(index, sizeof index, "%d", (int)(beginning - beginnings));
  pid_t pid = fork();
  g_assert_cmpint(pid, >=, 0);
  if (pid == 0) {
    alarm(patience());
    setenv(faults, which, 1);
    if (beginning->variable != NULL) setenv(beginning->variable, beginning->value, 1);
    run_again(index, beginning->body == be_adopted ? "3" : token);
  }
  int status;
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void torture_load(gconstpointer data) {
  const struct beginning *beginning = data;
  for (int round = 0; round < 2; round++) {
    int status = CHILD_PASSED;
    many = round == 0 ? 1 : AND_ALL_LATER;
    for (first = 1; status == CHILD_PASSED; first++) status = load(beginning);
    g_assert_cmpint(status, ==, PASSED_ALL);
    g_test_message("%d requests refused", first - 2);
    if (round == 0) g_assert_cmpint(first - 2, >=, beginning->least);
  }
}

int main(int argc, char **argv) {
  if (argc == 3 && getenv(faults) != NULL) return be_loaded(argv[1], argv[2]);
  g_test_init(&argc, &argv, NULL);
  g_assert_cmpint(atfork_token(token, sizeof token), >, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(beginnings); i++)
    g_test_add_data_func(beginnings[i].name, &beginnings[i], torture_load);
  return g_test_run();
}
