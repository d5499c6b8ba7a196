/* SPDX-License-Identifier: MIT */
/*
 * Promise 8: lineages are unique, also when a child returns into the middle of its parent's fork and makes that fork,
 * too.  A fork takes its child's number when it is prepared.  Here its thread forks again after that and before the
 * fork itself.
 */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forks.h"
#include "frame.h" /* the library's own, as are those that follow */
#include "state.h"
#include "steps.h"
#include "transient.h"

/* Shared: of each process that said so, one after the other. */
static struct {
  int count;
  char lineage[16][128];
} * born;

static void is_born(void) {
  atfork_lineage(born->lineage[born->count++], sizeof born->lineage[0]);
}

static void fork_and_return(void) {
  pid_t pid = fork();
  if (pid > 0) expect_passed(pid);
  child_check_int(pid, >=, 0);
}

/* In the child of fork_and_return() too, and there first. */
static void make_children(void (*fork_it)(void)) {
  pid_t here = getpid();
  fork_it();
  if (getpid() != here) is_born();
  for (int i = 0; i < 3; i++) in_child(fork, is_born);
  if (getpid() != here) child_passes();
}

static void expect_unique(void (*body)(void)) {
  atfork_generation(); /* so that forks are handled from here on */
  born = share(sizeof *born);
  in_child(fork, body);
  g_assert_cmpint(born->count, ==, 9);
  for (int i = 0; i < born->count; i++) {
    for (int j = 0; j < i; j++) g_assert_cmpstr(born->lineage[i], !=, born->lineage[j]);
  }
}

static void fork_once(void) {
  in_child(fork, is_born);
}

/* ---- In a handler of another library: those added before ours prepare after it ---- */

static void (*early_preparation)(void);

static void on_prepare(void) {
  void (*action)(void) = early_preparation;
  early_preparation = NULL;
  if (action != NULL) action();
}

static void by_a_handler(void) {
  early_preparation = fork_and_return;
  make_children(fork_once);
}

static void test_by_a_handler(void) {
  expect_unique(by_a_handler);
}

/* ---- In a callback: its process makes a child that no handler sees, which goes on with the fork, too ---- */

static void bypass_and_return(void) {
  pid_t pid = fork_by_syscall();
  if (pid > 0) expect_passed(pid);
  child_check_int(pid, >=, 0);
}

static void prepare(void *is_done) {
  if (*(bool *)is_done) return;
  *(bool *)is_done = true;
  bypass_and_return();
}

static void by_a_callback(void) {
  bool is_done = false;
  atfork_id id = atfork_register(&(struct atfork_hook){.prepare = prepare, .data = &is_done});
  child_check_int(id, !=, 0);
  make_children(fork_once);
  child_check_int(atfork_unregister(id), ==, 0);
}

static void test_by_a_callback(void) {
  expect_unique(by_a_callback);
}

/* ---- In a signal handler ---- */

static bool (*is_there)(const ucontext_t *context);
static uint64_t numbers_before;

static uint64_t numbers(void) {
  return atfork_state.process.latest->children;
}

static bool is_counted(const ucontext_t *context) {
  (void)context;
  return numbers() != numbers_before && atfork_frame_innermost()->number == 0;
}
static bool is_noted(const ucontext_t *context) {
  (void)context;
  return atfork_frame_innermost() != NULL && atfork_frame_innermost()->number != 0;
}

static bool is_to_be_given(const ucontext_t *context) {
  return is_exchange(context, &atfork_state.process.latest->children);
}

static void fork_interrupted(void) {
  child_check(interrupt(fork_once, is_there, fork_and_return));
}

static void by_a_signal_handler(void) {
  fork_once();
  born->count = 0;
  numbers_before = numbers();
  make_children(fork_interrupted);
}

static void test_by_a_signal_handler(void) {
  is_there = is_to_be_given;
  expect_unique(by_a_signal_handler);
  is_there = is_counted;
  expect_unique(by_a_signal_handler);
  is_there = is_noted;
  expect_unique(by_a_signal_handler);
}

/* ---- In a signal handler, before each instruction of the first call in a process ---- */

static int instructions; /* to go, of those that have the lock */

static bool is_counted_down(const ucontext_t *context) {
  (void)context;
  return atfork_transient->owner != 0 && instructions-- == 0;
}

static int generation; /* that this process is of */

static void look(void) {
  child_check_int(atfork_generation(), ==, generation);
}

static bool *has_interrupted; /* shared */
static int births;            /* how many births are to be noticed */

/* From one instruction to the next that is interrupted.  What counts coverage, or addresses, is many more of them. */
static int stride = 3;

static void look_interrupted(void) {
  *has_interrupted = interrupt(look, is_counted_down, fork_once);
  for (int i = 0; i < 2; i++) in_child(fork, is_born);
  child_check_int(atfork_generation(), ==, generation);
}

/* In a process of its own for each instruction, made by `make`, where nobody has looked yet. */
static void interrupt_everywhere(void (*make)(void)) {
  born = share(sizeof *born);
  has_interrupted = share(sizeof *has_interrupted);
  for (int count = 0;; count += stride) {
    born->count = 0;
    instructions = count;
    make();
    if (!*has_interrupted) break;
    child_check_int(born->count, ==, births);
    for (int i = 0; i < births; i++) {
      if (strcmp(born->lineage[i], born->lineage[(i + 1) % births]) != 0) continue;
      dprintf(STDERR_FILENO, "after %d instructions: ", count);
      child_fails(__FILE__, __LINE__, born->lineage[i]);
    }
  }
}

static void (*be_interrupted)(void);

static void make_by_a_bypassing_fork(void) {
  in_child(fork_by_syscall, be_interrupted);
}

static void of_a_parent_that_looked(void) {
  be_interrupted = look_interrupted;
  births = 3;
  generation = (int)atfork_generation() + 1;
  interrupt_everywhere(make_by_a_bypassing_fork);
}

/* The library takes these for children of bypassing forks, as its fork handlers run only after its first call. */
static void of_a_parent_that_never_looked(void) {
  be_interrupted = look_interrupted;
  births = 3;
  generation = 1;
  interrupt_everywhere(make_by_a_bypassing_fork);
}

/* The handler makes a child that no handler sees, and that goes on with the call. */
static void just_look(void) {
  atfork_generation();
}

/* And so does one that the child makes in its turn, before or after it has looked. */
static void bypass_twice_and_return(void) {
  pid_t here = getpid();
  bypass_and_return();
  if (getpid() != here) bypass_and_return();
}
static void bypass_look_bypass_and_return(void) {
  pid_t here = getpid();
  bypass_and_return();
  if (getpid() == here) return;
  just_look();
  bypass_and_return();
}
static void look_everywhere_and_return(void) {
  pid_t here = getpid();
  just_look();
  bypass_and_return();
  if (getpid() == here) return;
  just_look();
  bypass_and_return();
  just_look();
}

static void (*act)(void);

/* What is asked first is the generation, which a lineage has as many levels of. */
static void is_born_at_its_level(void) {
  uint64_t level = atfork_generation();
  is_born();
  for (const char *at = born->lineage[born->count - 1]; *at != '\0'; at++) level -= *at == '.';
  child_check_int(level, ==, 0);
}

static void look_and_return(void) {
  pid_t here = getpid();
  bool there = interrupt(just_look, is_counted_down, act);
  is_born_at_its_level();
  if (getpid() != here) child_passes();
  *has_interrupted = there;
}

static void by_a_child_that_returns(void) {
  be_interrupted = look_and_return;
  act = bypass_and_return;
  births = 2;
  interrupt_everywhere(make_by_a_bypassing_fork);
}

static void by_a_grandchild_that_returns(void) {
  be_interrupted = look_and_return;
  births = 3;
  act = bypass_twice_and_return;
  interrupt_everywhere(make_by_a_bypassing_fork);
  act = bypass_look_bypass_and_return;
  interrupt_everywhere(make_by_a_bypassing_fork);
  act = look_everywhere_and_return;
  interrupt_everywhere(make_by_a_bypassing_fork);
}

static void test_by_a_child_that_returns(void) {
  in_child(fork_by_syscall, by_a_child_that_returns);
}

/* In a process so deep that each place for an identity has been used. */
static int levels;

static void go_deep(void) {
  just_look();
  in_child(fork_by_syscall, levels-- > 0 ? go_deep : by_a_grandchild_that_returns);
}

/* Children that do not come back leave all identities but one busy. */
static bool is_being_made(const ucontext_t *context) {
  (void)context;
  return (atfork_transient->self & 1) != 0;
}

static int depth;

static void look_and_stay(void) {
  if (depth-- > 0)
    child_check(interrupt(just_look, is_being_made, act));
  else
    just_look();
  is_born();
}

static void bypass_and_stay(void) {
  in_child(fork_by_syscall, look_and_stay);
}

static void by_children_that_stay(void) {
  act = bypass_and_stay;
  depth = 4;
  look_and_stay();
}

static void test_by_children_that_stay(void) {
  born = share(sizeof *born);
  in_child(fork_by_syscall, by_children_that_stay);
  g_assert_cmpint(born->count, ==, 5);
  for (int i = 0; i < born->count; i++) {
    for (int j = 0; j < i; j++) g_assert_cmpstr(born->lineage[i], !=, born->lineage[j]);
  }
}

static void test_by_a_grandchild_that_returns(void) {
  levels = 3;
  in_child(fork_by_syscall, go_deep);
}

/* ---- In a signal handler, in the child of an ordinary fork, whose number is for that alone ---- */

static pid_t forking;

static bool is_being_made_in_child(const ucontext_t *context) {
  return getpid() != forking && is_being_made(context);
}

static void fork_and_be_born(void) {
  in_child(fork, is_born);
}

static void test_by_a_child_of_an_ordinary_one(void) {
  born = share(sizeof *born);
  forking = getpid();
  atfork_generation();
  interrupt(fork_and_be_born, is_being_made_in_child, bypass_and_return);
  g_assert_cmpint(born->count, ==, 2);
  g_assert_cmpstr(born->lineage[0], !=, born->lineage[1]);
}

/* ---- In a signal handler, before a call asks which identity is this process's ---- */

static char text[128];

static void call_lineage(void) {
  atfork_lineage(text, sizeof text);
}

static bool is_to_ask(const ucontext_t *context) {
  return is_load(context, &atfork_transient->self);
}

/* The child that comes back has not looked before. */
static void ask_and_return(void) {
  char lineage[128];
  pid_t here = getpid();
  atfork_generation();
  child_check(interrupt(call_lineage, is_to_ask, bypass_and_return));
  atfork_lineage(lineage, sizeof lineage);
  if (strcmp(text, lineage) != 0) child_fails(__FILE__, __LINE__, text);
  if (getpid() != here) child_passes();
}

static void test_by_a_child_that_asks(void) {
  in_child(fork, ask_and_return);
}

/* ---- In a signal handler, before each instruction of atfork_spawned(): a program for each ---- */

enum { NOT_INTERRUPTED = 43 };

static const char *token;
static int spawned;

/* Its child may find itself forked. */
static void be_spawned(void) {
  spawned = atfork_spawned(token);
}

static int be_worker(const char *count) {
  pid_t here = getpid();
  born = share(sizeof *born);
  instructions = atoi(count);
  bool there = interrupt(be_spawned, is_counted_down, bypass_and_return);
  is_born();
  if (getpid() != here) child_passes();
  child_check_int(spawned, ==, 0);
  if (!there) return NOT_INTERRUPTED;
  child_check_int(born->count, ==, 2);
  if (strcmp(born->lineage[0], born->lineage[1]) == 0) child_fails(__FILE__, __LINE__, born->lineage[0]);
  return CHILD_PASSED;
}

static int run_worker(int count) {
  char next[1024], number[16];
  int status;
  snprintf(number, sizeof number, "%d", count);
  atfork_token(next, sizeof next);
  pid_t pid = fork();
  if (pid == 0) execl("/proc/self/exe", "worker", "--worker", number, next, NULL);
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void test_by_a_child_of_a_worker(void) {
  int status = CHILD_PASSED;
  for (int count = 0; status == CHILD_PASSED; count += stride) status = run_worker(count);
  g_assert_cmpint(status, ==, NOT_INTERRUPTED);
}

static void test_of_a_parent_that_never_looked(void) {
  in_child(fork_by_syscall, of_a_parent_that_never_looked);
}

static void test_of_a_parent_that_looked(void) {
  in_child(fork_by_syscall, of_a_parent_that_looked);
}

int main(int argc, char **argv) {
  if (has_more_instructions()) stride = 61;
  if (argc == 4 && strcmp(argv[1], "--worker") == 0) {
    token = argv[3];
    return be_worker(argv[2]);
  }
  g_test_init(&argc, &argv, NULL);
  if (pthread_atfork(on_prepare, NULL, NULL) != 0) return 1;
  /* First, as it needs a process that has not called the library. */
  g_test_add_func("/numbers/of-a-parent-that-never-looked", test_of_a_parent_that_never_looked);
  g_test_add_func("/numbers/of-a-parent-that-looked", test_of_a_parent_that_looked);
  if (pages_are_wiped) g_test_add_func("/numbers/by-a-child-that-returns", test_by_a_child_that_returns);
  if (pages_are_wiped) g_test_add_func("/numbers/by-children-that-stay", test_by_children_that_stay);
  if (pages_are_wiped) g_test_add_func("/numbers/by-a-child-that-asks", test_by_a_child_that_asks);
  if (pages_are_wiped) g_test_add_func("/numbers/by-a-child-of-an-ordinary-one", test_by_a_child_of_an_ordinary_one);
  /* What these run would be counted wrong. */
  if (coverage_dump == NULL) {
    if (pages_are_wiped) g_test_add_func("/numbers/by-a-grandchild-that-returns", test_by_a_grandchild_that_returns);
    g_test_add_func("/numbers/by-a-child-of-a-worker", test_by_a_child_of_a_worker);
  }
  g_test_add_func("/numbers/by-a-callback", test_by_a_callback);
  g_test_add_func("/numbers/by-a-handler", test_by_a_handler);
  g_test_add_func("/numbers/by-a-signal-handler", test_by_a_signal_handler);
  return g_test_run();
}
