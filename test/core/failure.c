/* SPDX-License-Identifier: MIT */
/* Promise 7: a fork that fails runs `parent`, and leaves the generation as it was. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "counts.h"
#include "forks.h"
#include "scenario.h"

static void forbid_forks(void) {
  child_check_int(scenario_forbid_forks(EAGAIN), ==, 0);
}

static bool skips(void) {
  if (is_emulated) g_test_skip("an emulator has no seccomp, which makes forks fail here");
  return is_emulated;
}

static void fork_fails(void) {
  char lineage[16];
  start();
  forbid_forks();
  for (int i = 1; i <= 3; i++) {
    child_check_int(fork(), ==, -1);
    child_check_int(errno, ==, EAGAIN);
    child_check_int(one.prepared, ==, i);
    child_check_int(one.parented, ==, i);
  }
  child_check_int(one.childed, ==, 0);
  child_check_int(atfork_generation(), ==, 1);
  child_check_int(atfork_poll(), ==, 0);
  atfork_lineage(lineage, sizeof lineage);
  child_check(strcmp(lineage, "0.1") == 0);
}

static void test_parent_runs(void) {
  if (skips()) return;
  add(&one);
  in_child(fork, fork_fails);
  unregister_all();
}

static atfork_id own;

static void unregister_own(void *unused) {
  (void)unused;
  child_check_int(atfork_unregister(own), ==, 0);
}

static void unregisters_in_failing_fork(void) {
  forbid_forks();
  own = atfork_register(
      &(struct atfork_hook){.prepare = unregister_own, .parent = parent, .data = &one, .destroy = destroy});
  start();
  child_check_int(fork(), ==, -1);
  child_check_int(one.parented, ==, 1);
  child_check_int(one.destroyed, ==, 1);
  child_check_int(atfork_unregister(own), ==, -1);
  child_check_int(fork(), ==, -1);
  child_check_int(one.parented, ==, 1);
}

static void test_hook_ends_with_it(void) {
  if (skips()) return;
  in_child(fork, unregisters_in_failing_fork);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/failure/parent-runs", test_parent_runs);
  g_test_add_func("/failure/hook-ends-with-it", test_hook_ends_with_it);
  return g_test_run();
}
