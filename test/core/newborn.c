/* SPDX-License-Identifier: MIT */
/*
 * Promise 3: a hook runs once in each new process, also when a signal handler polls or forks in the child of an
 * ordinary fork before the hooks run, at any instruction of the library.
 */
#include <atfork.h>
#include <glib.h>
#include <unistd.h>

#include "forks.h"
#include "frame.h" /* the library's own, as are those that follow */
#include "state.h"
#include "steps.h"
#include "transient.h"

/* How often the hook ran in the process that it ran in last. */
static struct {
  pid_t process;
  int times;
} ran;

static void run(void *unused) {
  (void)unused;
  if (ran.process != getpid()) ran.times = 0;
  ran.process = getpid();
  ran.times++;
}

static void ran_once(void) {
  child_check_int(ran.process, ==, getpid());
  child_check_int(ran.times, ==, 1);
}

/* ---- Where: in the child, from when it is no more its parent's fork that is prepared, until the hook has run ---- */

static pid_t parent;
static int instructions; /* to go */

static bool is_counted_down(const ucontext_t *context) {
  (void)context;
  const struct frame *frame = atfork_frame_innermost();
  if (getpid() == parent || frame == NULL || frame->number != 0 || ran.process == getpid()) return false;
  return instructions-- == 0;
}

/* ---- What ---- */

static void poll_here(void) {
  atfork_poll();
}

static int poll_in_visit(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  atfork_poll();
  return 0;
}

static void visit_here(void) {
  child_check_int(atfork_foreach(poll_in_visit, NULL), ==, 0);
}

static void ran_once_and_once_more(void) {
  ran_once();
  in_child(fork, ran_once);
}

static void fork_here(void) {
  in_child(fork, ran_once_and_once_more);
}

static bool *has_acted; /* shared */

/* From one instruction to the next that is interrupted.  What counts coverage, or addresses, is many more of them. */
static int stride = 31;
static void (*action)(void);

static void act(void) {
  *has_acted = true;
  action();
}

/* ---- Runs ---- */

static void be_newborn(void) {
  ran_once();
  child_check_int(atfork_poll(), ==, 0);
  ran_once();
  in_child(fork, ran_once);
}

static void fork_interrupted(void) {
  in_child(fork, be_newborn);
}

static void interrupt_child(void) {
  parent = getpid();
  interrupt(fork_interrupted, is_counted_down, act);
}

static void check(void (*what)(void)) {
  has_acted = share(sizeof *has_acted);
  action = what;
  atfork_register_after_fork(run, NULL);
  int count = 0;
  do {
    *has_acted = false;
    instructions = count;
    in_child(fork, interrupt_child);
    count += stride;
  } while (*has_acted);
  g_test_message("%d instructions", count);
  g_assert_cmpint(count, >, 50);
  unregister_all();
}

static void test_polls(void) {
  check(poll_here);
}
static void test_visits(void) {
  check(visit_here);
}
static void test_forks(void) {
  check(fork_here);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  if (has_more_instructions()) stride = 611;
  g_test_add_func("/newborn/polls", test_polls);
  g_test_add_func("/newborn/visits", test_visits);
  g_test_add_func("/newborn/forks", test_forks);
  return g_test_run();
}
