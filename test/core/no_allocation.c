/* SPDX-License-Identifier: MIT */
/* Promise 10: no allocation in a fork, but for what forks inside its callbacks need; test/torture refuses those. */
#include <atfork.h>
#include <glib.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "forks.h"
#include "real_mmap.h"
#include "state.h" /* the library's own */

/* ---- What the library gets its memory from ---- */

static int allocations; /* since the count was last set to 0 */

/* What is done once, when the library asks for pages. */
static void (*while_mapping)(void);

static void do_once(void (**what)(void)) {
  void (*once)(void) = *what;
  *what = NULL;
  if (once != NULL) once();
}

/* By either name, as the size of off_t has it; newer musls have but one. */
#define WRAP_MMAP(name)                                                                           \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset);  \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset) { \
    do_once(&while_mapping);                                                                      \
    allocations++;                                                                                \
    return __real_mmap(at, size, protection, flags, file, (real_offset)offset);                   \
  }
#undef mmap64
WRAP_MMAP(mmap)
WRAP_MMAP(mmap64)

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
  allocations++;
  return __real_malloc(size);
}

/* ---- None in a fork ---- */

static int ran;

static void use_little(void *unused) {
  (void)unused;
  ran++;
  atfork_generation();
  atfork_seed(1);
}

static int *at_child_end;

static void fork_without_allocating(void) {
  at_child_end = share(sizeof *at_child_end);
  for (int i = 0; i < 100; i++)
    child_check_int(atfork_register(&(struct atfork_hook){
                        .priority = i % 3, .prepare = use_little, .parent = use_little, .child = use_little}),
                    !=, 0);
  for (size_t i = 0; i < ways_count; i++) {
    allocations = 0;
    pid_t pid = ways[i].fork();
    if (pid == 0) {
      atfork_poll();
      child_check_int(ran, >=, 100);
      *at_child_end = allocations;
      child_passes();
    }
    child_check_int(allocations, ==, 0);
    expect_passed(pid);
    child_check_int(*at_child_end, ==, 0);
  }
}

static void test_none_in_a_fork(void) {
  in_child(fork, fork_without_allocating);
}

/* 64 forks inside each other's callbacks need more frames than there are at hand; those come from mmap(). */
static int depth;

static void fork_deeper(void *unused) {
  (void)unused;
  if (depth++ < 64) in_child(fork, child_passes);
}

static void nest_deeply(void) {
  child_check_int(atfork_register(&(struct atfork_hook){.prepare = fork_deeper}), !=, 0);
  for (int i = 0; i < 2; i++) {
    depth = 0;
    allocations = 0;
    in_child(fork, child_passes);
    child_check_int(allocations, ==, i == 0 ? 64 / FRAMES_PER_BLOCK : 0);
  }
}

static void test_nested_deeply(void) {
  in_child(fork, nest_deeply);
}

/* ---- Two ask at once ---- */

/* As deep, by walks that make no process.  `meanwhile` is what happens while one more block of frames is mapped. */
static int walks;

static int walk_deeper(const struct atfork_info *info, void *meanwhile) {
  (void)info;
  if (++walks == FRAMES_PER_BLOCK) while_mapping = (void (*)(void))(uintptr_t)meanwhile;
  return walks <= FRAMES_PER_BLOCK ? atfork_foreach(walk_deeper, meanwhile) : 0;
}

static int count(const struct atfork_info *info, void *counter) {
  (void)info;
  ++*(int *)counter;
  return 0;
}

/* A handler, or another thread, puts its own block there. */
static void walk_meanwhile(void) {
  int hooks = 0;
  child_check_int(atfork_foreach(count, &hooks), ==, 0);
  child_check_int(hooks, ==, 1);
}

static void grandchild(void) {
  child_check_int(ran, ==, 1);
}

static void map_two_blocks(void) {
  child_check_int(atfork_register_after_fork(use_little, NULL), !=, 0);
  walks = allocations = 0;
  child_check_int(atfork_foreach(walk_deeper, (void *)(uintptr_t)walk_meanwhile), ==, 0);
  child_check_int(walks, ==, FRAMES_PER_BLOCK + 1);
  child_check_int(allocations, ==, 2);
  in_child(fork, grandchild);
}

static void test_two_map_frames(void) {
  in_child(fork, map_two_blocks);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/no-allocation/in-a-fork", test_none_in_a_fork);
  g_test_add_func("/no-allocation/nested-deeply", test_nested_deeply);
  g_test_add_func("/no-allocation/two-map-frames", test_two_map_frames);
  return g_test_run();
}
