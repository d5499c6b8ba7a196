/* SPDX-License-Identifier: MIT */
/* Promise 8: lineages are unique, by what all processes of a tree share. */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "distinct.h"
#include "forks.h"
#include "real_mmap.h"
#include "tree.h" /* the library's own */

/* ---- What the library gets its memory from ---- */

static const char without_memory[] = "ATFORK_TEST_NO_MEMORY";
static bool no_memory;

#define WRAP_MMAP(name)                                                                                  \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset);         \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset) {        \
    return no_memory ? MAP_FAILED : __real_mmap(at, size, protection, flags, file, (real_offset)offset); \
  }
#undef mmap64
WRAP_MMAP(mmap)
WRAP_MMAP(mmap64)

/* Before the library's own. */
__attribute__((constructor(101))) static void load_without_memory(void) {
  no_memory = getenv(without_memory) != NULL;
}

/* ---- Numbers for pids ---- */

static void test_pids_come_again(void) {
  g_assert_cmpuint(atfork_tree_number(4711), ==, 4711);
  g_assert_cmpuint(atfork_tree_number(4710), ==, 4710);
  g_assert_cmpuint(atfork_tree_number(4711), ==, 10004711);
  g_assert_cmpuint(atfork_tree_number(4711), ==, 20004711);
  g_assert_cmpuint(atfork_tree_number(4710), ==, 10004710);
  g_assert_cmpuint(atfork_tree_number(4194304), ==, 4194304);
}

/* Each that has come for the first time is its own number, while there is room; after that none is given twice. */
static void test_many_pids(void) {
  enum { FIRST = 100000, SOME = 300, MANY = 3000 };
  for (uint64_t pid = FIRST; pid < FIRST + SOME; pid++) g_assert_cmpuint(atfork_tree_number(pid), ==, pid);
  for (uint64_t pid = FIRST; pid < FIRST + MANY; pid++) {
    uint64_t first = atfork_tree_number(pid), second = atfork_tree_number(pid);
    g_assert_cmpuint(first % 10000000, ==, pid);
    g_assert_cmpuint(second % 10000000, ==, pid);
    g_assert_cmpuint(first, <, second);
  }
}

static uint64_t *number;

static void take_number(void) {
  *number = atfork_tree_number(4711);
}

static void test_pids_in_children(void) {
  number = share(sizeof *number);
  uint64_t before = atfork_tree_number(4711);
  for (size_t i = 0; i < ways_count; i++) {
    in_child(ways[i].fork, take_number);
    g_assert_cmpuint(*number, >, before);
    before = *number;
  }
  g_assert_cmpuint(atfork_tree_number(4711), >, before);
}

enum { TAKERS = 4, TAKEN = 20000 };
static uint64_t (*taken)[TAKEN];

static void *take_numbers(void *of_thread) {
  for (int i = 0; i < TAKEN; i++) ((uint64_t *)of_thread)[i] = atfork_tree_number((uint64_t)i % 7 + 1);
  return NULL;
}

static void test_pids_at_once(void) {
  pthread_t threads[TAKERS];
  taken = calloc(TAKERS, sizeof *taken);
  for (int i = 0; i < TAKERS; i++) pthread_create(&threads[i], NULL, take_numbers, taken[i]);
  for (int i = 0; i < TAKERS; i++) pthread_join(threads[i], NULL);
  g_assert_true(are_distinct(taken[0], (size_t)TAKERS * TAKEN));
  free(taken);
}

/* ---- Names that are taken ---- */

static uint64_t ticket, *childs_ticket;

static void is_taken(void) {
  *childs_ticket = atfork_tree_draw();
  child_check(!atfork_tree_take(UINT64_C(0x123456789abcdef0), *childs_ticket));
  child_check(atfork_tree_take(UINT64_C(0x923456789abcdef0), *childs_ticket));
}

/* By one process, as often as it likes. */
static void test_taken_once(void) {
  childs_ticket = share(sizeof *childs_ticket);
  g_assert_true(atfork_tree_take(UINT64_C(0x123456789abcdef0), ticket));
  g_assert_true(atfork_tree_take(UINT64_C(0x123456789abcdef0), ticket));
  in_child(fork_by_syscall, is_taken);
  g_assert_false(atfork_tree_take(UINT64_C(0x923456789abcdef0), ticket));
  g_assert_true(atfork_tree_take(0, ticket));
  g_assert_false(atfork_tree_take(0, *childs_ticket));
  g_assert_cmpuint(*childs_ticket, !=, ticket);
}

/* More than there is room for: none is refused that is new, and the last one is known. */
static void test_many_taken(void) {
  for (uint64_t i = 1; i <= 10000; i++) {
    g_assert_true(atfork_tree_take(i * UINT64_C(0x9e3779b97f4a7c15), ticket));
    g_assert_false(atfork_tree_take(i * UINT64_C(0x9e3779b97f4a7c15), *childs_ticket));
  }
}

/* They are never what stands for none, or for one that is being drawn, however many are drawn. */
static void test_many_tickets(void) {
  bool are_good = true;
  for (int i = 0; i < 1 << 24; i++) {
    uint64_t drawn = atfork_tree_draw();
    are_good = are_good && drawn > 1 && drawn < 1 << 24;
  }
  g_assert_true(are_good);
}

/* ---- Without memory that all share ---- */

static void has_next_generation(void) {
  child_check_int(atfork_generation(), ==, 1);
}

_Noreturn static void go_on_without(void) {
  no_memory = false;
  child_check_int(atfork_tree_number(4711), ==, 4711);
  child_check_int(atfork_tree_number(4711), ==, 4711);
  for (uint64_t drawn = 1; drawn <= 2; drawn++) child_check(atfork_tree_take(1, drawn));
  child_check_int(atfork_tree_draw(), >, 1);
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, has_next_generation);
  child_passes();
}

static void start_without(void) {
  setenv(without_memory, "1", true);
  execl("/proc/self/exe", "names", NULL);
  child_fails(__FILE__, __LINE__, "exec");
}

static void test_loaded_without_memory(void) {
  in_child(fork, start_without);
}

int main(int argc, char **argv) {
  if (no_memory) go_on_without();
  g_test_init(&argc, &argv, NULL);
  atfork_generation();
  ticket = atfork_tree_draw();
  g_test_add_func("/names/pids-come-again", test_pids_come_again);
  g_test_add_func("/names/pids-in-children", test_pids_in_children);
  g_test_add_func("/names/many-pids", test_many_pids);
  g_test_add_func("/names/pids-at-once", test_pids_at_once);
  g_test_add_func("/names/taken-once", test_taken_once);
  g_test_add_func("/names/many-taken", test_many_taken);
  g_test_add_func("/names/many-tickets", test_many_tickets);
  g_test_add_func("/names/loaded-without-memory", test_loaded_without_memory);
  return g_test_run();
}
