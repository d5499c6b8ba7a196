/* SPDX-License-Identifier: MIT */
/*
 * Promise 8: a process with a copy of its parent's memory is a new one, and a process that shares the memory is not,
 * whatever else clone(2) and clone3(2) are told to share.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clone3.h"
#include "forks.h"
#include "raw_fork.h"

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

/* Of any child, one that sends no signal as it ends included. */
static void expect_any_passed(pid_t pid) {
  int status;
  g_assert_cmpint(waitpid(pid, &status, __WALL), ==, pid);
  g_assert_true(WIFEXITED(status));
  g_assert_cmpint(WEXITSTATUS(status), ==, CHILD_PASSED);
}

/* ---- Copies of the memory ---- */

static void ran_once_more(void) {
  child_check_int(ran, ==, 2);
  child_check_int(atfork_generation(), ==, 2);
}

_Noreturn static void be_new(void) {
  child_check_int(atfork_generation(), ==, 1);
  child_check_int(ran, ==, 0);
  child_check_int(atfork_poll(), ==, 1);
  child_check_int(ran, ==, 1);
  atfork_once(&control, make, NULL);
  child_check_int(made, ==, 2);
  in_child(fork, ran_once_more);
  child_check_int(atfork_generation(), ==, 1);
  child_passes();
}

static pid_t clone_by_old_call(uint64_t flags) {
  unsigned long arguments[2] = {0};
  arguments[CLONE_FLAGS_ARGUMENT] = (unsigned long)flags | SIGCHLD;
  return (pid_t)syscall(SYS_clone, arguments[0], arguments[1], NULL, NULL, 0UL);
}

static pid_t clone_by_new_call(uint64_t flags) {
  return clone3(&(struct clone3_arguments){.flags = flags, .exit_signal = SIGCHLD});
}

static pid_t clone_without_signal(uint64_t flags) {
  return clone3(&(struct clone3_arguments){.flags = flags});
}

/* Where the kernel notes the child's pid, for its parent and for itself. */
static pid_t *pids;

static pid_t clone_with_pids(uint64_t flags) {
  unsigned long arguments[2] = {0};
  arguments[CLONE_FLAGS_ARGUMENT] =
      (unsigned long)flags | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
  /* Which of the last two is the child's depends on the processor; the other one is not looked at. */
  return (pid_t)syscall(SYS_clone, arguments[0], arguments[1], &pids[0], &pids[1], &pids[1]);
}

/* In <linux/sched.h> alone where the C library is older. */
static const uint64_t clears_signal_handlers = UINT64_C(0x100000000);

struct copy {
  const char *path;
  pid_t (*clone)(uint64_t flags);
  uint64_t flags;
};

static void test_copy(gconstpointer data) {
  const struct copy *copy = data;
  ran = made = 0;
  g_assert_cmpuint(atfork_register_after_fork(count, NULL), !=, 0);
  atfork_once(&control, make, NULL);
  pid_t pid = copy->clone(copy->flags);
  if (pid == 0) be_new();
  if (pid < 0) {
    g_test_skip(is_emulated ? "an emulator refuses these flags" : "the kernel refuses these flags");
  } else {
    expect_any_passed(pid);
  }
  g_assert_cmpuint(atfork_generation(), ==, 0);
  g_assert_cmpint(atfork_poll(), ==, 0);
  control = (struct atfork_once)ATFORK_ONCE_INIT;
  unregister_all();
}

enum { NAMESPACES = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC };

static const struct copy copies[] = {
    {"/clones/copy/plain", clone_by_old_call, 0},
    {"/clones/copy/descriptors", clone_by_old_call, CLONE_FILES},
    {"/clones/copy/directory", clone_by_old_call, CLONE_FS},
    {"/clones/copy/descriptors-and-directory", clone_by_old_call, CLONE_FILES | CLONE_FS},
    {"/clones/copy/semaphores", clone_by_old_call, CLONE_SYSVSEM},
    {"/clones/copy/untraced", clone_by_old_call, CLONE_UNTRACED},
    {"/clones/copy/parent-waits", clone_by_old_call, CLONE_VFORK},
    {"/clones/copy/pids-noted", clone_with_pids, 0},
    {"/clones/copy/new-user", clone_by_old_call, CLONE_NEWUSER},
    {"/clones/copy/new-pids", clone_by_old_call, CLONE_NEWUSER | CLONE_NEWPID},
    {"/clones/copy/new-all", clone_by_old_call, CLONE_NEWUSER | NAMESPACES},
    {"/clones/copy/clone3", clone_by_new_call, 0},
    {"/clones/copy/clone3-all-shared", clone_by_new_call, CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_IO},
    {"/clones/copy/clone3-parent-waits", clone_by_new_call, CLONE_VFORK},
    {"/clones/copy/clone3-signals-cleared", clone_by_new_call, clears_signal_handlers},
    {"/clones/copy/clone3-new-pids", clone_by_new_call, CLONE_NEWUSER | CLONE_NEWPID},
    {"/clones/copy/clone3-no-signal", clone_without_signal, 0},
};

/* Whose parent is its maker's: it descends from its maker all the same. */
static pid_t *sibling;

static void check_sibling(void) {
  child_check_int(atfork_generation(), ==, 2);
  child_check_int(atfork_poll(), ==, 1);
  child_check_int(ran, ==, 2);
  child_passes();
}

static void make_sibling(void) {
  pid_t pid = clone_by_old_call(CLONE_PARENT);
  if (pid == 0) check_sibling();
  *sibling = pid;
  child_check_int(atfork_generation(), ==, 1);
}

static void test_sibling(void) {
  if (is_emulated) {
    g_test_skip("an emulator refuses CLONE_PARENT");
    return;
  }
  ran = 0;
  sibling = share(sizeof *sibling);
  atfork_register_after_fork(count, NULL);
  in_child(fork, make_sibling);
  g_assert_cmpint(*sibling, >, 0);
  expect_any_passed(*sibling);
  unregister_all();
}

/* ---- The memory itself ---- */

static void must_not_run(void *unused) {
  (void)unused;
  abort();
}

static int is_the_same(void *unused) {
  (void)unused;
  return atfork_generation() == 0 && atfork_poll() == 0 && made == 1 ? CHILD_PASSED : 1;
}

/* As posix_spawn(3), and what languages with threads of their own start programs by. */
static const struct shared {
  const char *path;
  int flags;
} shared[] = {
    {"/clones/shared/parent-waits", CLONE_VM | CLONE_VFORK},
    {"/clones/shared/at-once", CLONE_VM},
    {"/clones/shared/all-but-threads", CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | CLONE_SYSVSEM},
};

static void is_first_child(void) {
  char lineage[8];
  child_check_int(atfork_lineage(lineage, sizeof lineage), ==, 3);
  child_check(strcmp(lineage, "0.1") == 0);
}

static void check_shared(const struct shared *kind) {
  enum { STACK = 1 << 18 };
  char *stack = malloc(STACK);
  child_check(stack != NULL);
  atfork_register(&(struct atfork_hook){.prepare = must_not_run, .parent = must_not_run, .child = must_not_run});
  made = 0;
  atfork_once(&control, make, NULL);
  pid_t pid = clone(is_the_same, stack + STACK, kind->flags | SIGCHLD, NULL);
  child_check_int(pid, >, 0);
  expect_any_passed(pid);
  child_check_int(is_the_same(NULL), ==, CHILD_PASSED);
  unregister_all();
  in_child(fork, is_first_child);
}

/* In a program of its own, whose next child is the first one. */
static int run_shared(const char *path) {
  for (size_t i = 0; i < G_N_ELEMENTS(shared); i++)
    if (strcmp(shared[i].path, path) == 0) check_shared(&shared[i]);
  child_passes();
}

static void test_shared(gconstpointer path) {
  pid_t pid = fork();
  if (pid == 0) run_again("--shared", path);
  expect_passed(pid);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--shared") == 0) return run_shared(argv[2]);
  g_test_init(&argc, &argv, NULL);
  pids = share(2 * sizeof *pids);
  for (size_t i = 0; i < G_N_ELEMENTS(copies); i++) g_test_add_data_func(copies[i].path, &copies[i], test_copy);
  g_test_add_func("/clones/copy/of-the-same-parent", test_sibling);
  /* Where pids are compared, whoever has another one is another process. */
  for (size_t i = 0; i < G_N_ELEMENTS(shared) && pages_are_wiped && has_vfork(); i++)
    g_test_add_data_func(shared[i].path, shared[i].path, test_shared);
  return g_test_run();
}
