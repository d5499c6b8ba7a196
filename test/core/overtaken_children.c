/* SPDX-License-Identifier: MIT */
/*
 * Promises 3 and 8: each hook runs once, also when a signal handler or another thread of a new process is the first to
 * look which process it is, or polls.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "frame.h" /* the library's own, as are those that follow */
#include "lock.h"
#include "state.h"
#include "table.h"
#include "transient.h"

#include "callbacks.h"
#include "forks.h"
#include "meeting.h"
#include "steps.h"

/* ---- A new process that is interrupted ---- */

static void look(void) {
  child_check_int(atfork_generation(), ==, 2);
}

static bool is_adopting(const ucontext_t *context) {
  return atfork_transient->settled == 0 && is_at(context, (void (*)(void))atfork_table_search);
}

static void adopt_with_handler(void) {
  child_check(interrupt(look, is_adopting, come_and_go));
  come_and_go();
  child_check_int(atfork_unregister(id), ==, -1);
}

/* With a hook that is retired, and not yet ended. */
static int retire_and_fork(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  child_check_int(atfork_unregister(id), ==, 0);
  in_child(fork_by_syscall, adopt_with_handler);
  return 0;
}

static void adopt(void) {
  id = add();
  child_check_int(atfork_foreach(retire_and_fork, NULL), ==, 0);
  child_check_int(destroyed, ==, 1);
}

/* Another library's child handler starts a thread, which is the first to look. */
static void (*early_action)(void);

static void on_child(void) {
  if (early_action != NULL) early_action();
}

static void *look_there(void *unused) {
  atfork_generation();
  return unused;
}

static void have_other_look(void) {
  start_other(look_there);
  join_other();
}

static void none_walks(void) {
  child_check_int(atfork_state.frames.count, ==, 0);
  child_check(atfork_frame_innermost() == NULL);
  early_action = NULL;
  in_child(fork, child_passes);
}

/* In the middle of a walk, which its thread comes back to. */
static int fork_and_return(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  pid_t pid = fork();
  if (pid > 0) expect_passed(pid);
  return 1;
}

static void look_first_in_a_walk(void) {
  pid_t here = getpid();
  id = add();
  early_action = have_other_look;
  child_check_int(atfork_foreach(fork_and_return, NULL), ==, 1);
  if (getpid() != here) none_walks();
  if (getpid() != here) child_passes();
}

/* In a `destroy`, at the end of a walk. */
static void fork_to_destroy(void *unused) {
  fork_and_return(NULL, unused);
}

static int retire(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  child_check_int(atfork_unregister(id), ==, 0);
  return 1;
}

static void look_first_in_destroy(void) {
  pid_t here = getpid();
  id = atfork_register(&(struct atfork_hook){.parent = nothing, .destroy = fork_to_destroy});
  early_action = have_other_look;
  child_check_int(atfork_foreach(retire, NULL), ==, 1);
  if (getpid() != here) none_walks();
  if (getpid() != here) child_passes();
}

/* And polls, before this one forks again. */
static void *poll_there(void *unused) {
  atfork_poll();
  return unused;
}

static void have_other_poll_and_fork(void) {
  early_action = NULL;
  start_other(poll_there);
  join_other();
  in_child(fork, child_passes);
}

static void poll_first(void) {
  add();
  early_action = have_other_poll_and_fork;
  in_child(fork, none_walks);
}

static void look_first(void) {
  early_action = have_other_look;
  in_child(fork, none_walks);
}

/* A handler polls while its own thread is about to: the hooks run once. */
static int ran, polled;

static void poll_here(void) {
  polled += atfork_poll();
}

/* After the first look, and before what follows once in a new process. */
static bool is_to_settle(const ucontext_t *context) {
  return atfork_state.process.latest->generation == 2 && atfork_transient->settled == 0 &&
         is_at(context, (void (*)(void))atfork_lock_enter);
}
static bool is_to_claim_phase(const ucontext_t *context) {
  return is_exchange(context, &atfork_state.forks.dispatched);
}
static bool is_to_poll(const ucontext_t *context) {
  (void)context;
  return atfork_frame_innermost() != NULL;
}

static bool (*poll_place)(const ucontext_t *context);

static void poll_with_handler(void) {
  child_check(interrupt(poll_here, poll_place, poll_here));
  child_check_int(polled, ==, 1);
  child_check_int(ran, ==, 1);
}

static void poll_twice(void) {
  atfork_register_after_fork(increment, &ran);
  atfork_poll();
  poll_place = is_to_settle;
  in_child(fork_by_syscall, poll_with_handler);
  poll_place = is_to_poll;
  in_child(fork_by_syscall, poll_with_handler);
  poll_place = is_to_claim_phase;
  in_child(fork_by_syscall, poll_with_handler);
}

/* In the child of an ordinary fork, whose hooks are to come, a handler's poll has none to run. */
static pid_t forking;
static bool has_polled;

static bool is_to_claim_phase_in_child(const ucontext_t *context) {
  return getpid() != forking && is_to_claim_phase(context);
}

static void poll_and_note(void) {
  poll_here();
  has_polled = true;
}

static void ran_once_though_polled(void) {
  child_check(has_polled);
  child_check_int(polled, ==, 0);
  child_check_int(ran, ==, 1);
}

static void fork_to_poll(void) {
  in_child(fork, ran_once_though_polled);
}

static void poll_too_early(void) {
  atfork_register_after_fork(increment, &ran);
  forking = getpid();
  child_check(!interrupt(fork_to_poll, is_to_claim_phase_in_child, poll_and_note));
}

/* ---- A spawned worker, which a handler has poll before its hooks have run ---- */

static const char *token;

static void be_spawned(void) {
  child_check_int(atfork_spawned(token), ==, 0);
}

static bool is_spawned(const ucontext_t *context) {
  (void)context;
  return atfork_state.process.latest->generation == 2 && (!pages_are_wiped || atfork_transient->mark == 3);
}
static bool is_to_be_spawned(const ucontext_t *context) {
  return is_exchange(context, &atfork_transient->self);
}

static void fork_here(void) {
  in_child(fork, child_passes);
}

static pid_t made_in_handler = -1;

static void fork_and_come_back(void) {
  made_in_handler = fork();
}

/* What the handler makes comes back into the call, and is a child of the root's: the place is the parent's. */
static void be_spawned_or_forked(void) {
  char lineage[16];
  int result = atfork_spawned(token);
  if (made_in_handler != 0) {
    child_check_int(result, ==, 0);
    return;
  }
  child_check_int(result, ==, -1);
  child_check_int(errno, ==, EALREADY);
  atfork_lineage(lineage, sizeof lineage);
  child_check(strcmp(lineage, "0.1") == 0);
  _exit(CHILD_PASSED);
}

static int be_worker_that_forks(void) {
  child_check(interrupt(be_spawned_or_forked, is_to_be_spawned, fork_and_come_back));
  expect_passed(made_in_handler);
  return CHILD_PASSED;
}

/* In a program of its own, whose only call of the library this is. */
static int be_worker(const char *what) {
  if (strcmp(what, "come back") == 0) return be_worker_that_forks();
  atfork_register_after_fork(increment, &ran);
  bool there = strcmp(what, "poll") == 0   ? interrupt(be_spawned, is_spawned, poll_here)
               : strcmp(what, "fork") == 0 ? interrupt(be_spawned, is_spawned, fork_here)
                                           : interrupt(be_spawned, is_to_be_spawned, poll_here);
  child_check(there);
  child_check_int(ran, ==, 1);
  child_check_int(atfork_poll(), ==, 0);
  child_check_int(atfork_generation(), ==, 2);
  return CHILD_PASSED;
}

static void spawn(const char *what) {
  char next[1024];
  atfork_token(next, sizeof next);
  pid_t pid = fork();
  if (pid == 0) {
    execl("/proc/self/exe", "worker", "--worker", what, next, NULL);
    _exit(1);
  }
  expect_passed(pid);
}

static void spawn_workers(void) {
  spawn("poll");
  spawn("fork");
  spawn("poll before");
  spawn("come back");
}

/* ---- Where pages are not wiped: clearing what is left of the parent ---- */

static bool is_clearing(const ucontext_t *context) {
  (void)context;
  return atfork_transient->process == ~(uint64_t)getpid();
}
static bool is_to_clear(const ucontext_t *context) {
  return is_exchange(context, &atfork_transient->process);
}

static bool (*clearing_place)(const ucontext_t *context);

static void clear_with_handler(void) {
  child_check(interrupt(look, clearing_place, look));
  come_and_go();
}

static void clear(void) {
  atfork_generation();
  clearing_place = is_clearing;
  in_child(fork_by_syscall, clear_with_handler);
  clearing_place = is_to_clear;
  in_child(fork_by_syscall, clear_with_handler);
}

static const struct test_case cases[] = {
    {"/overtaken-children/adoption", adopt},
    {"/overtaken-children/first-look", look_first},
    {"/overtaken-children/first-look-in-a-walk", look_first_in_a_walk},
    {"/overtaken-children/first-look-in-destroy", look_first_in_destroy},
    {"/overtaken-children/first-poll", poll_first},
    {"/overtaken-children/early-poll", poll_too_early},
    {"/overtaken-children/poll", poll_twice},
    {"/overtaken-children/worker", spawn_workers},
    {"/overtaken-children/clearing", clear},
};

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "--worker") == 0) {
    token = argv[3];
    return be_worker(argv[2]);
  }
  g_test_init(&argc, &argv, NULL);
  if (pthread_atfork(NULL, NULL, on_child) != 0) return 1; /* before the library's */
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    if (cases[i].run != clear || !pages_are_wiped) add_case(&cases[i]);
  return g_test_run();
}
