/* SPDX-License-Identifier: MIT */
/* Promise 3: every child callback runs exactly once in each new process; and atfork_once(). */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"

static int ran;

static void count(void *counter) {
  ++*(counter == NULL ? &ran : (int *)counter);
}

/* ---- Nested forks ---- */

static int depth;

static void descend(void) {
  child_check_int(ran, ==, depth);
  child_check_int(atfork_generation(), ==, depth);
  if (depth == 3) return;
  depth++;
  in_child(fork, descend);
}

static void test_three_deep(void) {
  ran = 0;
  atfork_id id = atfork_register_after_fork(count, NULL);
  depth = 1;
  in_child(fork, descend);
  g_assert_cmpint(ran, ==, 0);
  atfork_unregister(id);
}

static const struct way *mixed[3];

static void descend_mixed(void) {
  const struct way *came = mixed[depth - 1];
  if (came->bypasses) {
    child_check_int(ran, ==, depth - 1);
    child_check_int(atfork_poll(), ==, 1);
  }
  child_check_int(ran, ==, depth);
  child_check_int(atfork_poll(), ==, 0);
  child_check_int(atfork_generation(), ==, depth);
  if (depth == 3) return;
  depth++;
  in_child(mixed[depth - 1]->fork, descend_mixed);
}

/* Each of the ways, below each, below each. */
static void test_three_deep_in_all_ways(void) {
  atfork_id id = atfork_register_after_fork(count, NULL);
  for (size_t i = 0; i < ways_count * ways_count * ways_count; i++) {
    mixed[0] = &ways[i % ways_count];
    mixed[1] = &ways[i / ways_count % ways_count];
    mixed[2] = &ways[i / ways_count / ways_count];
    ran = 0;
    depth = 1;
    in_child(mixed[0]->fork, descend_mixed);
    g_assert_cmpint(ran, ==, 0);
  }
  atfork_unregister(id);
}

/* ---- Forks from inside a child callback ---- */

static const struct way *inner;
static int early, late;

static void count_early(void *unused) {
  (void)unused;
  early++;
}
static void count_late(void *unused) {
  (void)unused;
  late++;
}

static void fork_in_child(void *unused) {
  (void)unused;
  if (atfork_generation() != 1) return;
  in_child(inner->fork, child_passes);
}

/* The inner child comes back from the callback, through the child phase of the outer fork. */
static void fork_and_return(void *unused) {
  (void)unused;
  if (atfork_generation() != 1) return;
  pid_t pid = inner->fork();
  if (pid > 0) expect_passed(pid);
}

static void is_once(void) {
  if (atfork_generation() == 1) {
    child_check_int(early, ==, 1);
    child_check_int(late, ==, 1);
    return;
  }
  child_check_int(atfork_generation(), ==, 2);
  if (inner->bypasses) {
    child_check_int(early, ==, 1); /* its parent's */
    child_check_int(late, ==, 0);
    child_check_int(atfork_poll(), ==, 3);
  }
  child_check_int(early, ==, 2);
  child_check_int(late, ==, 1);
  child_check_int(atfork_poll(), ==, 0);
}

static void check_fork_in_child(void (*forker)(void *)) {
  for (size_t i = 0; i < ways_count; i++) {
    inner = &ways[i];
    early = late = 0;
    atfork_register_after_fork(count_early, NULL);
    atfork_register_after_fork(forker, NULL);
    atfork_register_after_fork(count_late, NULL);
    in_child(fork, is_once);
    unregister_all();
  }
}

static void test_fork_in_child(void) {
  check_fork_in_child(fork_in_child);
}

static void test_fork_in_child_returns(void) {
  check_fork_in_child(fork_and_return);
}

/* ---- A hook that a child callback unregisters before it forks ---- */

static atfork_id dropped;
static int dropped_ran;

static void drop_and_fork(void *unused) {
  (void)unused;
  if (atfork_generation() != 1) return;
  child_check_int(atfork_unregister(dropped), ==, 0);
  pid_t pid = inner->fork();
  if (pid > 0) expect_passed(pid);
}

/* It was prepared, so its child runs: once in the child, and once in the process that the callback made. */
static void dropped_is_paired(void) {
  child_check_int(dropped_ran, ==, 1);
  child_check_int(atfork_poll(), ==, 0);
  child_check_int(dropped_ran, ==, 1);
  child_check_int(late, ==, 1);
}

static void test_fork_in_child_after_unregistering(void) {
  for (size_t i = 0; i < ways_count; i++) {
    inner = &ways[i];
    late = dropped_ran = 0;
    atfork_register_after_fork(drop_and_fork, NULL);
    dropped = atfork_register(&(struct atfork_hook){.child = count, .data = &dropped_ran});
    atfork_register_after_fork(count_late, NULL);
    in_child(fork, dropped_is_paired);
    unregister_all();
  }
}

/* ---- Forks in threads ---- */

static void *fork_in_thread(void *unused) {
  (void)unused;
  for (int i = 0; i < 50; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      child_check_int(ran, ==, 1);
      child_check_int(atfork_generation(), ==, 1);
      child_check_int(atfork_poll(), ==, 0);
      child_passes();
    }
    expect_passed(pid);
  }
  return NULL;
}

static void test_forks_in_threads(void) {
  pthread_t threads[4];
  ran = 0;
  atfork_id id = atfork_register_after_fork(count, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
    g_assert_cmpint(pthread_create(&threads[i], NULL, fork_in_thread, NULL), ==, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_join(threads[i], NULL);
  g_assert_cmpint(ran, ==, 0);
  atfork_unregister(id);
}

/* ---- A hook registered in a process never runs for the fork that made it ---- */

static void register_then_poll(void) {
  ran = 0;
  child_check_int(atfork_register_after_fork(count, NULL), !=, 0);
  child_check_int(atfork_poll(), ==, 0);
  child_check_int(ran, ==, 0);
}

static void test_registered_in_the_new_process(void) {
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, register_then_poll);
}

struct generations {
  size_t count;
  uint64_t of[2];
};

static int note_generation(const struct atfork_info *info, void *noted) {
  struct generations *generations = noted;
  child_check_int(generations->count, <, 2);
  generations->of[generations->count++] = info->generation;
  return 0;
}

/* Hooks that are alike but for that. */
static void register_in_both(void) {
  struct generations generations = {0};
  child_check_int(atfork_register_after_fork(count, NULL), !=, 0);
  atfork_foreach(note_generation, &generations);
  child_check_int(generations.count, ==, 2);
  child_check_int(generations.of[0], ==, 0);
  child_check_int(generations.of[1], ==, 1);
}

static void test_generation_of_a_hook(void) {
  atfork_id id = atfork_register_after_fork(count, NULL);
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, register_in_both);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

/* ---- atfork_once ---- */

static struct atfork_once control = ATFORK_ONCE_INIT;
static int inits;

static void init(void *data) {
  inits += *(int *)data;
}

static void once_here(void) {
  int by = 1;
  int before = inits;
  atfork_once(&control, init, &by);
  atfork_once(&control, init, &by);
  (atfork_once)(&control, init, &by);
  child_check_int(inits, ==, before + 1);
}

static void once_here_and_below(void) {
  once_here();
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, once_here);
}

static void test_control_once_a_process(void) {
  once_here();
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, once_here_and_below);
  g_assert_cmpint(inits, ==, 1);
}

static struct atfork_once slow_control;
static struct gate inside, go_on;
static int slow_inits;

static void slow_init(void *data) {
  __atomic_add_fetch(&slow_inits, 1, __ATOMIC_SEQ_CST);
  if (data == NULL) return;
  gate_open(&inside);
  gate_wait(&go_on);
}

static void *run_slow_init(void *unused) {
  atfork_once(&slow_control, slow_init, &slow_control);
  return unused;
}

static void *wait_for_init(void *unused) {
  atfork_once(&slow_control, slow_init, NULL);
  g_assert_cmpint(__atomic_load_n(&slow_inits, __ATOMIC_SEQ_CST), ==, 1);
  return unused;
}

static void child_runs_init_itself(void) {
  atfork_once(&slow_control, slow_init, NULL);
  child_check_int(slow_inits, ==, 2);
}

static void test_control_fork_during_init(void) {
  pthread_t first, second;
  gate_make(&inside);
  gate_make(&go_on);
  pthread_create(&first, NULL, run_slow_init, NULL);
  gate_wait(&inside);
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, child_runs_init_itself);
  pthread_create(&second, NULL, wait_for_init, NULL);
  gate_open(&go_on);
  pthread_join(first, NULL);
  pthread_join(second, NULL);
}

static struct atfork_once forking_control;
static int forking_inits;

static void forking_init(void *unused) {
  (void)unused;
  forking_inits++;
  if (atfork_generation() != 0) return;
  in_child(fork, child_passes);
}

static void test_control_init_forks(void) {
  atfork_once(&forking_control, forking_init, NULL);
  atfork_once(&forking_control, forking_init, NULL);
  g_assert_cmpint(forking_inits, ==, 1);
}

static struct atfork_once returning_control;
static int returning_inits;
static pid_t returning_child;

static void returning_init(void *unused) {
  (void)unused;
  if (returning_inits++ == 0) returning_child = inner->fork();
}

/* A handler inside init makes a child, which there has the init that is due run to its end. */
static void fork_in_handler(int signal) {
  (void)signal;
  returning_child = inner->fork();
  if (returning_child == 0) atfork_once(&returning_control, returning_init, NULL);
}

static void interrupted_init(void *unused) {
  (void)unused;
  returning_inits++;
  raise(SIGUSR1);
}

static void test_control_handler_forks_in_init(void) {
  signal(SIGUSR1, fork_in_handler);
  for (size_t i = 0; i < ways_count; i++) {
    inner = &ways[i];
    memset(&returning_control, 0, sizeof returning_control);
    returning_inits = 0;
    atfork_once(&returning_control, interrupted_init, NULL);
    if (returning_child == 0) child_check_int(returning_inits, ==, 2);
    atfork_once(&returning_control, returning_init, NULL);
    if (returning_child == 0) child_check_int(returning_inits, ==, 2);
    if (returning_child == 0) child_passes();
    expect_passed(returning_child);
    g_assert_cmpint(returning_inits, ==, 1);
  }
  signal(SIGUSR1, SIG_DFL);
}

/* A child that init makes, and that comes back from it, is not done: the next call there runs it again. */
static void test_control_init_forks_and_returns(void) {
  for (size_t i = 0; i < ways_count; i++) {
    inner = &ways[i];
    memset(&returning_control, 0, sizeof returning_control);
    returning_inits = 0;
    atfork_once(&returning_control, returning_init, NULL);
    if (returning_child == 0) child_check_int(returning_inits, ==, 1);
    atfork_once(&returning_control, returning_init, NULL);
    atfork_once(&returning_control, returning_init, NULL);
    if (returning_child == 0) child_check_int(returning_inits, ==, 2);
    if (returning_child == 0) child_passes();
    expect_passed(returning_child);
    g_assert_cmpint(returning_inits, ==, 1);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/once/three-deep", test_three_deep);
  g_test_add_func("/once/three-deep-in-all-ways", test_three_deep_in_all_ways);
  g_test_add_func("/once/fork-in-child", test_fork_in_child);
  g_test_add_func("/once/fork-in-child-returns", test_fork_in_child_returns);
  g_test_add_func("/once/fork-in-child-after-unregistering", test_fork_in_child_after_unregistering);
  add_race("/once/forks-in-threads", test_forks_in_threads);
  g_test_add_func("/once/registered-in-the-new-process", test_registered_in_the_new_process);
  g_test_add_func("/once/generation-of-a-hook", test_generation_of_a_hook);
  g_test_add_func("/once/control/once-a-process", test_control_once_a_process);
  g_test_add_func("/once/control/fork-during-init", test_control_fork_during_init);
  g_test_add_func("/once/control/init-forks", test_control_init_forks);
  g_test_add_func("/once/control/init-forks-and-returns", test_control_init_forks_and_returns);
  g_test_add_func("/once/control/handler-forks-in-init", test_control_handler_forks_in_init);
  return g_test_run();
}
