/* SPDX-License-Identifier: MIT */
/* Promise 17: a process says how it has come to its place; and all of a tree have the run of its root. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"
#include "programs.h"

/* ---- Of this program's processes ---- */

static uint64_t run;

static void test_root(void) {
  run = atfork_run();
  g_assert_cmpint(atfork_place(), ==, ATFORK_ROOT);
  g_assert_cmpuint(atfork_run(), ==, run);
}

static void expect_forked(void) {
  child_check_int(atfork_place(), ==, ATFORK_FORKED);
  child_check(atfork_run() == run);
  errno = 0;
  child_check_int(atfork_adopt("3"), ==, -1);
  child_check_int(errno, ==, EALREADY);
  child_check_int(atfork_adopt("three"), ==, -1);
  child_check_int(errno, ==, EALREADY);
  child_check_int(atfork_place(), ==, ATFORK_FORKED);
}

static void fork_once_more(void) {
  expect_forked();
  in_child(fork, expect_forked);
  in_child(fork_by_syscall, expect_forked);
}

static void test_forked(void) {
  for (size_t i = 0; i < ways_count; i++) {
    g_test_message("%s", ways[i].name);
    in_child(ways[i].fork, fork_once_more);
  }
}

/* Each has 32 bytes of its own, of which 8 are as different as all. */
static uint8_t (*seen)[32];
static int process;

static void note_bytes(void) {
  atfork_seed_bytes(run, seen[process], sizeof seen[process]);
}

static void test_bytes_differ(void) {
  enum { CHILDREN = 20 };
  seen = share((CHILDREN + 1) * sizeof *seen);
  note_bytes();
  for (process = 1; process <= CHILDREN; process++) in_child(ways[(size_t)process % ways_count].fork, note_bytes);
  for (int i = 0; i <= CHILDREN; i++)
    for (int j = 0; j < i; j++) g_assert_true(memcmp(seen[i], seen[j], 8) != 0);
  process = 0;
}

/* ---- After a place is taken, in a process of its own ---- */

static char order[8];

static void ran(void *letter) {
  strcat(order, letter);
}

static void expect_child_of_adopted(void) {
  char lineage[64];
  atfork_lineage(lineage, sizeof lineage);
  child_check(strcmp(lineage, "0.r3.1") == 0);
  child_check_int(atfork_generation(), ==, 2);
  child_check_int(atfork_place(), ==, ATFORK_FORKED);
  child_check(atfork_run() == 42);
  child_check(strcmp(order, "abab") == 0);
}

static int be_adopted(void) {
  static char a[] = "a", b[] = "b";
  atfork_register(&(struct atfork_hook){.priority = 1, .child = ran, .data = b});
  atfork_register_after_fork(ran, a);
  g_assert_cmpint(atfork_adopt("3"), ==, 0);
  g_assert_cmpstr(order, ==, "ab");
  g_assert_cmpint(atfork_poll(), ==, 0);
  in_child(fork, expect_child_of_adopted);
  return 0;
}

static void become_adopted(void) {
  set_variable("ATFORK_RUN", "42");
  run_again("--adopted", NULL);
}

static void test_adopted(void) {
  pid_t pid = fork();
  if (pid == 0) become_adopted();
  expect_passed(pid);
}

/* ---- Of a program that loads the library ---- */

static void expect_places(const char *way, const char *expected) {
  char *out;
  expect_program_passes((const char *const[]){PLACED, way, LIBRARY, NULL}, &out, NULL);
  g_assert_cmpstr(out, ==, expected);
  free(out);
}

static void test_loaded_first(void) {
  expect_places("root", "root 0 0\n");
}

static bool skips(void) {
  if (is_emulated) g_test_skip("an emulator has a /proc of its own, in which nobody is forked");
  return is_emulated;
}

static void test_loaded_in_worker(void) {
  if (skips()) return;
  expect_places("worker", "unknown 0 0\nunknown 1 0.1\n");
}

static void test_cured(void) {
  if (skips()) return;
  expect_places("adopted", "unknown 0 0\nadopted 1 0.r5\nforked 2 0.r5.1\n");
}

static void test_name(void) {
  if (skips()) return;
  expect_places("name", "unknown 0 0\nunknown 1 0.1\n");
}

static void test_after_exec(void) {
  expect_places("exec", "root 0 0\n");
}

static void test_daemon(void) {
  expect_places("daemon", "root 0 0\n");
}

static void test_without_rights(void) {
  if (skips()) return;
  if (getuid() != 0) {
    g_test_skip("only root has rights to give up");
    return;
  }
  expect_places("rights", "unknown 0 0\n");
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--adopted") == 0) return be_adopted() == 0 ? CHILD_PASSED : 1;
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/place/root", test_root);
  g_test_add_func("/place/forked", test_forked);
  g_test_add_func("/place/bytes-differ", test_bytes_differ);
  g_test_add_func("/place/adopted", test_adopted);
  if (LIBRARY[0] == '\0') return g_test_run();
  g_test_add_func("/place/loaded-first", test_loaded_first);
  g_test_add_func("/place/after-exec", test_after_exec);
  g_test_add_func("/place/daemon", test_daemon);
  g_test_add_func("/place/loaded-in-worker", test_loaded_in_worker);
  g_test_add_func("/place/cured", test_cured);
  g_test_add_func("/place/name", test_name);
  g_test_add_func("/place/without-rights", test_without_rights);
  return g_test_run();
}
