/* SPDX-License-Identifier: MIT */
/* A process that overwrites what all processes of a tree share changes names of others, and nothing else. */
#include <atfork.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forks.h"
#include "real_mmap.h"

/* ---- The pages that the library shares ---- */

static uint64_t *shared;
static size_t shared_words;

static void note_shared(void *at, size_t size, int flags) {
  if ((flags & MAP_SHARED) == 0 || at == MAP_FAILED || shared != NULL) return;
  shared = at;
  shared_words = size / sizeof *shared;
}

#define WRAP_MMAP(name)                                                                           \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset);  \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset) { \
    void *made = __real_mmap(at, size, protection, flags, file, (real_offset)offset);             \
    note_shared(made, size, flags);                                                               \
    return made;                                                                                  \
  }
#undef mmap64
WRAP_MMAP(mmap)
WRAP_MMAP(mmap64)

/* ---- What is written there ---- */

static uint64_t random_word(void) {
  static uint64_t state = 1;
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return state ^ state >> 29;
}

static uint64_t zero(void) {
  return 0;
}

static uint64_t ones(void) {
  return UINT64_MAX;
}

/* Beside a pid it counts to its end, and into the pid, at the next number. */
static uint64_t last_count(void) {
  return UINT64_C(0xffffffff) | (uint64_t)(random_word() % 4194304) << 32;
}

static uint64_t (*const words[])(void) = {zero, ones, last_count, random_word};
enum { WORDS = sizeof words / sizeof *words };

static uint64_t (*word)(void);

static void scribble(void) {
  for (size_t i = 0; i < shared_words; i++) __atomic_store_n(&shared[i], word(), __ATOMIC_RELAXED);
}

/* ---- What holds all the same ---- */

static int ran;
static uint64_t generation;
static struct atfork_once control;

static void count(void *counter) {
  ++*(int *)counter;
}

/* A lineage that the library itself takes for one. */
static void expect_well_formed(void) {
  char token[1024], next[1024];
  child_check_int(atfork_token(token, sizeof token), <, sizeof token);
  child_check_int(atfork_child_token(token, 1, next, sizeof next), >, 0);
}

static void grandchild(void) {
  atfork_poll();
  child_check_int(atfork_generation(), ==, generation + 2);
  child_check_int(ran, ==, 2);
  expect_well_formed();
}

static void child(void) {
  int made = 0;
  atfork_poll();
  child_check_int(atfork_generation(), ==, generation + 1);
  child_check_int(ran, ==, 1);
  atfork_once(&control, count, &made);
  child_check_int(made, ==, 1);
  expect_well_formed();
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, grandchild);
}

static void fork_each_way(void) {
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, child);
  g_assert_cmpint(ran, ==, 0);
  g_assert_cmpuint(atfork_generation(), ==, generation);
}

static void test_before_the_forks(void) {
  for (int i = 0; i < WORDS; i++) {
    word = words[i];
    in_child(fork, scribble);
    fork_each_way();
  }
}

static void test_during_the_forks(void) {
  pid_t scribbler = fork();
  if (scribbler == 0) {
    for (int i = 0;; i = (i + 1) % WORDS) {
      word = words[i];
      scribble();
    }
  }
  for (int i = 0; i < rounds(20); i++) fork_each_way();
  kill(scribbler, SIGKILL);
  g_assert_cmpint(waitpid(scribbler, NULL, 0), ==, scribbler);
}

/* ---- What does not ---- */

static char (*name)[64];

static void note_name(void) {
  atfork_lineage(*name, sizeof *name);
}

/* Shows that the tests write where they mean to.  With ones, no pid has room, and the second that is counted there is
 * named as one that comes again. */
static void test_changes_names(void) {
  name = share(sizeof *name);
  word = ones;
  in_child(fork, scribble);
  in_child(fork_by_syscall, note_name);
  in_child(fork_by_syscall, note_name);
  uint64_t number = strtoull(*name + strlen("0.p"), NULL, 10);
  g_assert_cmpuint(number, >, 10000000);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  generation = atfork_generation();
  atfork_register_after_fork(count, &ran);
  g_test_add_func("/scribbled/changes-names", test_changes_names);
  g_test_add_func("/scribbled/before-the-forks", test_before_the_forks);
  add_race("/scribbled/during-the-forks", test_during_the_forks);
  return g_test_run();
}
