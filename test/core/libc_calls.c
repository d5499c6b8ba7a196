/* SPDX-License-Identifier: MIT */
/* Promise 8: of the C library's calls that make processes, those that fork are forks, and those that spawn are not. */
#include <atfork.h>
#include <glib.h>
#include <pty.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forks.h"

extern char **environ;

static void must_not_run(void *unused) {
  (void)unused;
  abort();
}

static int prepared, parented, ran;

static void count(void *counter) {
  ++*(int *)counter;
}

/* ---- Calls that spawn ---- */

static bool by_popen(void) {
  char text[16] = "";
  FILE *pipe = popen("echo spawned", "r");
  return pipe != NULL && fgets(text, sizeof text, pipe) != NULL && strcmp(text, "spawned\n") == 0 && pclose(pipe) == 0;
}

static bool by_two_popens(void) {
  FILE *first = popen("cat", "w"), *second = popen("cat >/dev/null", "w");
  return first != NULL && second != NULL && pclose(first) == 0 && pclose(second) == 0;
}

static bool by_system(void) {
  return WEXITSTATUS(system("exit 3")) == 3;
}

static bool by_posix_spawn(void) {
  static char shell[] = "sh", option[] = "-c", command[] = "exit 3";
  char *const argv[] = {shell, option, command, NULL};
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  pid_t pid;
  int status;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addclose(&actions, STDIN_FILENO);
  return posix_spawnp(&pid, "sh", &actions, &attributes, argv, environ) == 0 && waitpid(pid, &status, 0) == pid &&
         WEXITSTATUS(status) == 3;
}

static bool by_posix_spawn_of_nothing(void) {
  static char name[] = "/nowhere/to/be/found";
  char *const argv[] = {name, NULL};
  pid_t pid;
  return posix_spawn(&pid, name, NULL, NULL, argv, environ) != 0;
}

static const struct spawn {
  const char *path;
  bool (*call)(void);
} spawns[] = {
    {"/libc-calls/spawn/popen", by_popen},
    {"/libc-calls/spawn/two-popens", by_two_popens},
    {"/libc-calls/spawn/system", by_system},
    {"/libc-calls/spawn/posix-spawn", by_posix_spawn},
    {"/libc-calls/spawn/posix-spawn-of-nothing", by_posix_spawn_of_nothing},
};

static const char *wanted;

static void is_wanted(void) {
  char lineage[64];
  atfork_lineage(lineage, sizeof lineage);
  if (strcmp(lineage, wanted) != 0) child_fails(__FILE__, __LINE__, lineage);
}

/* Such a call runs no handler, and uses no number of the lineage. */
static void expect_no_fork(bool (*call)(void), bool has_hooks) {
  atfork_id id = 0;
  if (has_hooks)
    id = atfork_register(&(struct atfork_hook){.prepare = must_not_run, .parent = must_not_run, .child = must_not_run});
  child_check(call());
  child_check(call());
  if (has_hooks) child_check_int(atfork_unregister(id), ==, 0);
}

static void check_spawn(bool (*call)(void)) {
  expect_no_fork(call, false);
  wanted = "0.1";
  in_child(fork, is_wanted);
  expect_no_fork(call, true);
  wanted = "0.2";
  in_child(fork, is_wanted);
  child_check_int(atfork_generation(), ==, 0);
  child_check_int(atfork_poll(), ==, 0);
}

/* ---- Calls that fork ---- */

static char (*lineage_there)[64]; /* shared by all */
static int *ran_there, *generation_there;

static void note_there(void) {
  *generation_there = (int)atfork_generation();
  atfork_lineage(*lineage_there, sizeof *lineage_there);
  *ran_there = ran;
}

static void register_counters(void) {
  lineage_there = share(sizeof *lineage_there);
  ran_there = share(sizeof *ran_there);
  generation_there = share(sizeof *generation_there);
  atfork_register(&(struct atfork_hook){.prepare = count, .data = &prepared});
  atfork_register(&(struct atfork_hook){.parent = count, .data = &parented});
  atfork_register_after_fork(count, &ran);
}

static void check_forkpty(void) {
  int terminal, status;
  register_counters();
  pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
  child_check_int(pid, >=, 0);
  if (pid == 0) {
    note_there();
    child_passes();
  }
  child_check_int(waitpid(pid, &status, 0), ==, pid);
  child_check_int(WEXITSTATUS(status), ==, CHILD_PASSED);
  child_check_int(prepared, ==, 1);
  child_check_int(parented, ==, 1);
  child_check(strcmp(*lineage_there, "0.1") == 0);
  child_check_int(*ran_there, ==, 1);
}

/* It ends the caller, and goes on in the child, or, with musl, in the child of that: this process waits for it. */
static void check_daemon(void) {
  struct gate is_there;
  gate_make(&is_there);
  register_counters();
  pid_t pid = fork();
  if (pid == 0) {
    if (daemon(1, 1) != 0) _exit(1);
    note_there();
    gate_open(&is_there);
    child_passes();
  }
  int status;
  child_check_int(waitpid(pid, &status, 0), ==, pid);
  child_check_int(WEXITSTATUS(status), ==, 0);
  gate_wait(&is_there);
  child_check(strncmp(*lineage_there, "0.1.1", 5) == 0);
  child_check_int(*generation_there, >=, 2);
  child_check_int(*ran_there, ==, *generation_there);
}

/* ---- Each in a program of its own ---- */

static const struct fork_call {
  const char *path;
  void (*check)(void);
} forks[] = {{"/libc-calls/fork/forkpty", check_forkpty}, {"/libc-calls/fork/daemon", check_daemon}};

static int run_case(const char *path) {
  for (size_t i = 0; i < G_N_ELEMENTS(spawns); i++)
    if (strcmp(spawns[i].path, path) == 0) check_spawn(spawns[i].call);
  for (size_t i = 0; i < G_N_ELEMENTS(forks); i++)
    if (strcmp(forks[i].path, path) == 0) forks[i].check();
  child_passes();
}

static void test_case(gconstpointer path) {
  if (is_emulated && strcmp(path, "/libc-calls/spawn/posix-spawn-of-nothing") == 0) {
    g_test_skip("an emulator makes vfork() a fork, so posix_spawn() cannot see an error");
    return;
  }
  pid_t pid = fork();
  if (pid == 0) run_again("--case", path);
  expect_passed(pid);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--case") == 0) return run_case(argv[2]);
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(spawns); i++) g_test_add_data_func(spawns[i].path, spawns[i].path, test_case);
  for (size_t i = 0; i < G_N_ELEMENTS(forks); i++) g_test_add_data_func(forks[i].path, forks[i].path, test_case);
  return g_test_run();
}
