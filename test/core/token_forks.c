/* SPDX-License-Identifier: MIT */
/* Promise 17: workers that are spawned rather than forked have places of their own among those that are forked. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "forks.h"
#include "workers.h"

enum { NOBODY = 65534 };

static void is_the_next_child(void) {
  char lineage[ROOM];
  atfork_lineage(lineage, sizeof lineage);
  child_check(strcmp(lineage, "0.3") == 0);
  child_check(strstr(take_token(), ":0.3.1:") != NULL);
  child_check(strstr(take_token(), ":2:0.3.2:") != NULL);
}

/* Forks and tokens count together. */
static void test_numbers_are_those_of_forks(void) {
  take_token();
  take_token();
  in_child(fork, is_the_next_child);
  g_assert_true(strstr(take_token(), ":0.4:") != NULL);
}

static void execute(int out) {
  static char variable[] = "ATFORK_TOKEN";
  setenv(variable, take_token(), 1);
  dup2(out, STDOUT_FILENO);
  execl(WORKER, WORKER, "--environment", NULL);
}

/* In place of the process that took the token: a child of it still. */
static void test_by_exec(void) {
  char said[ROOM] = "", lineage[64];
  int ends[2], status;
  g_assert_cmpint(pipe(ends), ==, 0);
  const char *next = strstr(take_token(), ":0.") + 3;
  g_snprintf(lineage, sizeof lineage, "ok 2 0.%d.1 ", atoi(next) + 1);
  pid_t pid = fork();
  if (pid == 0) {
    execute(ends[1]);
    _exit(1);
  }
  close(ends[1]);
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_cmpint(status, ==, 0);
  g_assert_cmpint(read(ends[0], said, sizeof said - 1), >, 0);
  close(ends[0]);
  g_assert_true(g_str_has_prefix(said, lineage));
  g_assert_true(strstr(said, " abc unset\n") != NULL);
}

static void takes_from_deep_down(void) {
  char token[ROOM];
  atfork_token(token, sizeof token);
  check_worker(token, NULL, token);
}

static void goes_deeper(void) {
  in_child(fork_by_clone, takes_from_deep_down);
}

static void test_from_below(void) {
  in_child(fork, goes_deeper);
}

static void is_known_already(void) {
  char lineage[ROOM], before[ROOM];
  uint64_t generation = atfork_generation();
  atfork_lineage(before, sizeof before);
  errno = 0;
  child_check_int(atfork_spawned(take_token()), ==, -1);
  child_check_int(errno, ==, EALREADY);
  atfork_lineage(lineage, sizeof lineage);
  child_check(strcmp(lineage, before) == 0);
  child_check_int(atfork_generation(), ==, generation);
}

static void test_forked_is_known(void) {
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, is_known_already);
}

/* ---- A setuid program does not trust its environment ---- */

/* What it says of itself shows that nothing was read. */
static void test_setuid(void) {
  char dir[] = "/tmp/atfork-XXXXXX", program[sizeof dir + 16];
  size_t size;
  char *contents = read_file(STATIC_WORKER, &size);
  g_assert_true(mkdtemp(dir) != NULL && contents != NULL);
  snprintf(program, sizeof program, "%s/worker", dir);
  g_assert_true(write_file(program, contents, size));
  if (is_emulated) {
    g_test_skip("an emulator has its own rights, not its program's");
  } else if (geteuid() != 0 || chown(program, NOBODY, NOBODY) != 0 || chmod(program, 06755) != 0) {
    g_test_skip("only root can give a program to another user");
  } else {
    g_assert_cmpint(chmod(dir, 0755), ==, 0);
    char **lines = run_worker(program, "--environment", take_token());
    g_assert_true(g_str_has_prefix(lines[0], "EINVAL 0 0 "));
    free(lines);
  }
  g_assert_cmpint(unlink(program), ==, 0);
  g_assert_cmpint(rmdir(dir), ==, 0);
  free(contents);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/token-forks/numbers-are-those-of-forks", test_numbers_are_those_of_forks);
  g_test_add_func("/token-forks/by-exec", test_by_exec);
  g_test_add_func("/token-forks/from-below", test_from_below);
  g_test_add_func("/token-forks/forked-is-known", test_forked_is_known);
  g_test_add_func("/token-forks/setuid", test_setuid);
  return g_test_run();
}
