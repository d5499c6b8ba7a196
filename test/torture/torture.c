/* SPDX-License-Identifier: MIT */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "forks.h"
#include "patience.h"

/* ---- Hooks that are always there ---- */

enum { BASE = 3 };

static struct base {
  int priority, prepared, parented, childed;
} base[BASE] = {{.priority = -300}, {.priority = 0}, {.priority = 300}};

int torture_hooks;

static void prepare(void *hook) {
  ((struct base *)hook)->prepared++;
}
static void parent(void *hook) {
  ((struct base *)hook)->parented++;
}
static void child(void *hook) {
  ((struct base *)hook)->childed++;
}

void torture_add_hooks(void) {
  for (int i = 0; i < BASE; i++) {
    struct atfork_hook hook = {
        .priority = base[i].priority, .prepare = prepare, .parent = parent, .child = child, .data = &base[i]};
    child_check_int((atfork_register)(&hook), !=, 0);
  }
  torture_hooks = BASE;
}

static void forget_runs(void) {
  for (int i = 0; i < BASE; i++) base[i].prepared = base[i].parented = base[i].childed = 0;
}

static void expect_runs(int prepared, int parented, int childed) {
  for (int i = 0; torture_hooks >= BASE && i < BASE; i++) {
    child_check_int(base[i].prepared, ==, prepared);
    child_check_int(base[i].parented, ==, parented);
    child_check_int(base[i].childed, ==, childed);
  }
}

/* ---- What is true after each call ---- */

static int count(const struct atfork_info *info, void *counter) {
  (void)info;
  ++*(int *)counter;
  return 0;
}

static void expect_hooks(int wanted) {
  int counter = 0;
  child_check_int(atfork_foreach(count, &counter), ==, 0);
  child_check_int(counter, ==, wanted);
}

static uint64_t generation;

static void grandchild(void) {
  expect_runs(2, 1, 2);
}

static void be_child(void) {
  expect_runs(1, 0, 1);
  child_check_int(atfork_generation(), ==, generation + 1);
  child_check_int(atfork_poll(), ==, 0);
  expect_hooks(torture_hooks);
  /* Its parents are told at its own forks, too. */
  for (int i = 0; i < BASE; i++) base[i].parented = 1;
  in_child(fork, grandchild);
}

void torture_expect_unharmed(void) {
  expect_hooks(torture_hooks);
  forget_runs();
  generation = atfork_generation();
  in_child(fork, be_child);
  expect_runs(1, 1, 0);
}

static int open_files(void) {
  enum { MANY = 256 };
  int files = 0;
  for (int file = 0; file < MANY; file++) files += fcntl(file, F_GETFD) != -1;
  return files;
}

/* ---- One turn ---- */

static const struct scenario *scenario;
static int first, many;
static struct { int requests, refused, told; } * seen; /* by all processes of a test */

static void end_faults(void) {
  int requests = fault_disarm();
  if (requests > seen->requests) seen->requests = requests;
}

/* With this turn's faults; true as the call says. */
static bool call_with_faults(void) {
  fault_arm(first, many);
  errno = 0;
  bool done = scenario->call();
  int error = errno;
  end_faults();
  if (done) return true;
  child_check(scenario->may_fail);
  child_check_int(error, ==, ENOMEM);
  return false;
}

static long larger(long a, long b) {
  return a > b ? a : b;
}

/* So often that a table is renewed twice, which happens when most of its hooks are dead; the most that was mapped. */
static long call_many_times(void) {
  enum { TIMES = 500 };
  long most = 0;
  for (int i = 0; i < TIMES; i++) {
    if (call_with_faults()) scenario->undo();
    most = larger(most, fault_held().mapped);
  }
  return most;
}

/* As often as one likes, and what the process holds does not grow; some memory is kept for the next table at first. */
static void expect_no_leak(void) {
  call_many_times();
  long most = call_many_times();
  struct held_things before = fault_held();
  child_check_int(call_many_times(), <=, most);
  struct held_things after = fault_held();
  child_check_int(after.blocks, ==, before.blocks);
  child_check_int(after.handlers, ==, before.handlers);
}

/* It may be tried as long as it fails: what the C library noted for it is not noted once more. */
static void expect_nothing_noted_twice(void) {
  enum { TIMES = 10 };
  long handlers = fault_held().handlers;
  bool done = false;
  for (int i = 0; i < TIMES && !done; i++) done = call_with_faults();
  if (done) scenario->undo();
  if (!done) child_check_int(fault_held().handlers, ==, handlers);
}

static void take_turn(void) {
  if (scenario->arrange != NULL) scenario->arrange();
  forget_runs();
  int files = open_files();
  bool done = call_with_faults();
  if (done) torture_hooks += scenario->adds;
  if (!done) seen->told++;
  torture_expect_unharmed();
  if (!done) {
    expect_nothing_noted_twice();
    child_check(scenario->call());
    torture_hooks += scenario->adds;
    torture_expect_unharmed();
  }
  if (scenario->undo != NULL) {
    scenario->undo();
    torture_hooks -= scenario->adds;
    expect_no_leak();
    torture_expect_unharmed();
  }
  child_check_int(open_files(), ==, files);
}

void torture_child_ends(int ran) {
  end_faults();
  alarm(patience());
  for (int i = 0; torture_hooks >= BASE && i < BASE; i++) child_check_int(base[i].childed, ==, ran);
  torture_expect_unharmed();
  child_passes();
}

/* ---- All of them ---- */

/* Until there is no such request any more. */
static void torture_in_turn(void) {
  enum { FAR_TOO_MANY = 1000 };
  for (first = 1;; first++) {
    seen->requests = 0;
    in_child(fork, take_turn);
    if (seen->requests < first) return;
    seen->refused++;
    g_assert_cmpint(first, <, FAR_TOO_MANY);
  }
}

int torture(const struct scenario *what) {
  const char *more = g_getenv("ATFORK_TEST_TORTURE");
  scenario = what;
  seen = share(sizeof *seen);
  many = AND_ALL_LATER;
  torture_in_turn();
  for (many = 1; many == 1 || (more != NULL && many <= atoi(more)); many++) torture_in_turn();
  g_test_message("%d requests refused, %d of them told", seen->refused, seen->told);
  g_assert_cmpint(seen->refused, >=, 2 * what->least);
  g_assert_true(what->least == 0 || what->may_fail == (seen->told > 0));
  return seen->told;
}
