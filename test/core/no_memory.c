/* SPDX-License-Identifier: MIT */
/* Promise 10: out of memory shows as ENOMEM, and as nothing else.  Each allocation of the library fails in its turn. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "forks.h"
#include "state.h" /* the library's own */

/* ---- What the library gets its memory from ---- */

static int allocations; /* since the count was last set to 0 */
static int fails_at;    /* the allocation that fails; 0: none */
static bool all_fail;   /* and all after it */

static bool is_to_fail(void) {
  allocations++;
  if (fails_at == 0 || allocations < fails_at || (allocations > fails_at && !all_fail)) return false;
  errno = ENOMEM;
  return true;
}

/* What is done once, when the library asks for pages. */
static void (*while_mapping)(void);

static void do_once(void (**what)(void)) {
  void (*once)(void) = *what;
  *what = NULL;
  if (once != NULL) once();
}

/* Memory that happens to lie where a huge page can begin, or happens not to. */
enum { HUGE_PAGE = 2 << 20 };
static bool is_aligned;

static void *align(void *memory, size_t size) {
  if (memory == MAP_FAILED) return memory;
  char *begin = memory, *end = begin + size + HUGE_PAGE;
  char *aligned = begin + (-(uintptr_t)begin) % HUGE_PAGE;
  if (!is_aligned) aligned = begin + (aligned == begin ? sysconf(_SC_PAGESIZE) : 0);
  if (aligned > begin) munmap(begin, (size_t)(aligned - begin));
  if (end > aligned + size) munmap(aligned + size, (size_t)(end - aligned) - size);
  return aligned;
}

/* The pause of a walk that has no memory is when there is some again. */
int __real_sched_yield(void);
int __wrap_sched_yield(void);
int __wrap_sched_yield(void) {
  fails_at = 0;
  return __real_sched_yield();
}

/* By either name, as the size of off_t has it; newer musls have but one. */
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
#define WRAP_MMAP(name)                                                                           \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset);  \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset) { \
    do_once(&while_mapping);                                                                      \
    if (is_to_fail()) return MAP_FAILED;                                                          \
    void *memory = __real_mmap(at, size + HUGE_PAGE, protection, flags, file, offset);            \
    return align(memory, size);                                                                   \
  }
#undef mmap64
WRAP_MMAP(mmap)
WRAP_MMAP(mmap64)

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
  return is_to_fail() ? NULL : __real_malloc(size);
}

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  return is_to_fail() ? ENOMEM : __real_pthread_atfork(prepare, parent, child);
}

int __real___cxa_atexit(void (*function)(void *), void *argument, void *dso);
int __wrap___cxa_atexit(void (*function)(void *), void *argument, void *dso);
int __wrap___cxa_atexit(void (*function)(void *), void *argument, void *dso) {
  return is_to_fail() ? -1 : __real___cxa_atexit(function, argument, dso);
}

/* ---- Calls that need memory ---- */

static int ran;

static void run(void *unused) {
  (void)unused;
  ran++;
}

static int count(const struct atfork_info *info, void *counter) {
  (void)info;
  ++*(int *)counter;
  return 0;
}

static int hooks(void) {
  int counter = 0;
  child_check_int(atfork_foreach(count, &counter), ==, 0);
  return counter;
}

static atfork_id call_register(void) {
  return atfork_register(&(struct atfork_hook){.name = "a name", .child = run});
}
static atfork_id call_register_elsewhere(void) {
  static int priority = 3;
  return atfork_register(&(struct atfork_hook){.priority = priority += 300, .child = run});
}
/* With the dso of another object, so that its list of owners grows. */
static atfork_id call_register_for_many_objects(void) {
  static char objects[300];
  static int object;
  return atfork_register_for(&(struct atfork_hook){.child = run}, &objects[object++ % 300]);
}
/* Each name is another one, and fills what is left of the memory at hand. */
static atfork_id call_register_with_long_name(void) {
  static char name[5000];
  static int calls;
  memset(name, 'x', sizeof name - 1);
  name[calls++] = 'y';
  return atfork_register(&(struct atfork_hook){.name = name, .child = run});
}
/* At a priority that is far from the others, of which some have taken up `filling` bytes more. */
static size_t filling;
static atfork_id call_register_far_away(void) {
  static char name[4096];
  static int priority;
  memset(name, 'x', filling);
  return atfork_register(&(struct atfork_hook){.name = name, .priority = priority += 256, .child = run});
}
static atfork_id call_register_mutex(void) {
  static pthread_mutex_t mutexes[64]; /* all zero is how one is initialised here */
  static int mutex;
  return atfork_register_mutex(&mutexes[mutex++], 0);
}

/* ---- Each fails in its turn ---- */

static atfork_id (*call)(void);
/* Shared: how many allocations a call made at the most, and in how many turns one that failed was told. */
static struct { int most, told; } * seen;

static void grandchild(void) {
  child_check_int(ran, >, 0);
}

/* The library is as it was before, and the next call works. */
static void expect_unharmed(int before) {
  fails_at = 0;
  child_check_int(hooks(), ==, before);
  atfork_id id = call();
  child_check_int(id, !=, 0);
  child_check_int(hooks(), ==, before + 1);
  child_check_int(call_register(), !=, 0);
  ran = 0;
  in_child(fork, grandchild);
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(hooks(), ==, before + 1);
}

/* In a process that has not called the library yet.  So many calls that each of the things that grow does. */
static void fail_in_turn(void) {
  for (int i = 0; i < 40; i++) {
    int before = 0;
    if (i > 0) before = hooks();
    allocations = 0;
    errno = 0;
    atfork_id id = call();
    int error = errno;
    if (allocations > seen->most) seen->most = allocations;
    fails_at = fails_at > allocations ? fails_at - allocations : 0;
    if (id != 0) continue;
    seen->told++;
    child_check_int(error, ==, ENOMEM);
    if (all_fail) fails_at = 0;
    expect_unharmed(before);
    break;
  }
}

static const int *turn;

static void one_turn(void) {
  fails_at = *turn;
  fail_in_turn();
  fails_at = 0;
}

static void check(atfork_id (*what)(void), bool all) {
  call = what;
  all_fail = all;
  seen = share(sizeof *seen);
  for (int i = 1; i <= 60; i++) {
    turn = &i;
    in_child(fork, one_turn);
  }
  g_test_message("at most %d allocations in a call; %d that failed were told", seen->most, seen->told);
  g_assert_cmpint(seen->most, >, 2);
  g_assert_cmpint(seen->told, >, 2);
}

static void test_register(void) {
  check(call_register, false);
  check(call_register, true);
}
static void test_register_elsewhere(void) {
  check(call_register_elsewhere, false);
  check(call_register_elsewhere, true);
}
static void test_register_mutex(void) {
  check(call_register_mutex, false);
}
static void test_register_with_long_name(void) {
  check(call_register_with_long_name, false);
}
static void test_register_far_away(void) {
  for (filling = 0; filling < 4096; filling += 256) check(call_register_far_away, false);
}
static void test_register_for_many_objects(void) {
  check(call_register_for_many_objects, false);
}

/* ---- A table of many pages ---- */

/* Each time that it is to grow there is no memory for it first. */
static void grow(void) {
  int registered = 0, refused = 0;
  while (registered < 50000) {
    fails_at = 1;
    all_fail = true;
    allocations = 0;
    if (call_register() != 0) {
      registered++;
      continue;
    }
    child_check_int(errno, ==, ENOMEM);
    fails_at = 0;
    child_check_int(call_register(), !=, 0);
    registered++;
    refused++;
  }
  fails_at = 0;
  child_check_int(refused, >, 6);
  child_check_int(hooks(), ==, registered);
}

static void test_grow(void) {
  in_child(fork, grow);
  is_aligned = true;
  in_child(fork, grow);
  is_aligned = false;
}

/* ---- At exit ---- */

/* With an object that was noted, but has no hook, as there was no memory for one. */
static void exit_without_hooks(void) {
#ifdef __GLIBC__
  enum { FOR_TABLE = 4 };
#else
  enum { FOR_TABLE = 3 }; /* the fork handlers have had theirs at the load */
#endif
  allocations = 0;
  fails_at = FOR_TABLE;
  child_check_int(call_register(), ==, 0);
  child_check_int(allocations, ==, FOR_TABLE);
  exit(CHILD_PASSED);
}

static void test_exit(void) {
  in_child(fork, exit_without_hooks);
}

/* ---- What cannot fail does without ---- */

/* From the very first call on, in a process with no memory at all. */
static void without_memory(void) {
  char text[1024];
  static struct atfork_once once;
  fails_at = 1;
  all_fail = true;
  child_check_int(atfork_generation(), ==, 1);
  child_check_int(atfork_lineage(text, sizeof text), ==, strlen(text));
  child_check_int(atfork_token(text, sizeof text), ==, strlen(text));
  child_check_int(atfork_seed(1), !=, atfork_seed(2));
  child_check_int(atfork_poll(), ==, 0);
  child_check_int(atfork_unregister(7), ==, -1);
  child_check_int(errno, ==, ENOENT);
  child_check_int(hooks(), ==, 0);
  atfork_once(&once, run, NULL);
  child_check_int(ran, ==, 1);
  child_check_int(call_register(), ==, 0);
  child_check_int(errno, ==, ENOMEM);
  child_check_int(call_register_mutex(), ==, 0);
  child_check_int(errno, ==, ENOMEM);
  fails_at = 0;
}

static void test_the_rest(void) {
  in_child(fork, without_memory);
}

/* ---- At the load: the program runs all the same, as well as it can ---- */

static const char failing[] = "ATFORK_TEST_FAILING_ALLOCATION";

/* In the program itself, and so before the library's. */
__attribute__((constructor(101))) static void fail_at_load(void) {
  const char *which = getenv(failing);
  if (which != NULL) fails_at = atoi(which);
}

static int number; /* of the child; 0: it has none */

static void knows_its_place(void) {
  char lineage[64], wanted[64];
  snprintf(wanted, sizeof wanted, number == 0 ? "0.p%d" : "0.%d", number == 0 ? (int)getpid() : number);
  atfork_lineage(lineage, sizeof lineage);
  if (strcmp(lineage, wanted) != 0) child_fails(__FILE__, __LINE__, lineage);
  child_check_int(atfork_generation(), ==, 1);
}

static void has_hooks(void) {
  knows_its_place();
  child_check_int(ran, ==, 1);
}

/* The page is the first that it asks for, and then to be told of forks. */
static int be_loaded_without_memory(void) {
  child_check_int(allocations, >=, 2);
  number = fails_at == 1;
  in_child(fork, knows_its_place);
  child_check_int(call_register(), !=, 0);
  number++;
  in_child(fork, has_hooks);
  return CHILD_PASSED;
}

static void test_load(void) {
  for (int i = 1; i <= 2; i++) {
    char which[16];
    snprintf(which, sizeof which, "%d", i);
    pid_t pid = fork();
    if (pid == 0) {
      setenv(failing, which, 1);
      run_again("--loaded", NULL);
    }
    expect_passed(pid);
  }
}

/* Collecting what is dead is put off, and the hooks that are left are as they were.  A copy needs memory for their
 * names, if those differ. */
static bool names_differ;

static void unregister_without_memory(void) {
  static atfork_id ids[500];
  static char name[1000];
  memset(name, 'x', sizeof name - 1);
  for (int i = 0; i < 500; i++) {
    if (names_differ) name[i] = 'y';
    ids[i] = atfork_register(&(struct atfork_hook){.name = name, .priority = i % 3 * 300, .child = run});
  }
  fails_at = *turn;
  all_fail = true;
  allocations = 0;
  for (int i = 0; i < 499; i++) child_check_int(atfork_unregister(ids[i]), ==, 0);
  child_check_int(allocations, >, 0);
  child_check_int(hooks(), ==, 1);
  fails_at = 0;
  ran = 0;
  in_child(fork, grandchild);
  child_check_int(atfork_unregister(ids[499]), ==, 0);
}

static void test_unregister(void) {
  for (int i = 2; i < 8; i++) {
    int first = i / 2;
    turn = &first;
    names_differ = i % 2 == 0;
    in_child(fork, unregister_without_memory);
  }
}

/* ---- None in a fork ---- */

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

/* As deep, by walks that make no process.  `deepest` is called where one more block of frames is needed. */
enum { AT_HAND = FRAMES_PER_BLOCK };
static int walks;

static int walk_deeper(const struct atfork_info *info, void *deepest) {
  (void)info;
  if (++walks == AT_HAND) ((void (*)(void))(uintptr_t)deepest)();
  return walks <= AT_HAND ? atfork_foreach(walk_deeper, deepest) : 0;
}

static void walk_deeply(void (*deepest)(void)) {
  child_check_int(call_register(), !=, 0);
  walks = allocations = 0;
  child_check_int(atfork_foreach(walk_deeper, (void *)(uintptr_t)deepest), ==, 0);
  child_check_int(walks, ==, AT_HAND + 1);
  in_child(fork, grandchild);
}

static void have_no_memory(void) {
  fails_at = 1;
  all_fail = true;
}

/* A walk cannot be refused, so it waits. */
static void wait_for_memory(void) {
  walk_deeply(have_no_memory);
  child_check_int(fails_at, ==, 0);
}

static void test_walk_waits_for_memory(void) {
  in_child(fork, wait_for_memory);
}

/* While the one more block is mapped, a handler or another thread puts its own there. */
static void walk_meanwhile(void) {
  hooks();
}
static void have_walk_meanwhile(void) {
  while_mapping = walk_meanwhile;
}

static void map_two_blocks(void) {
  walk_deeply(have_walk_meanwhile);
  child_check_int(allocations, ==, 2);
}

static void test_two_map_frames(void) {
  in_child(fork, map_two_blocks);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--loaded") == 0) return be_loaded_without_memory();
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/no-memory/register", test_register);
  g_test_add_func("/no-memory/register-elsewhere", test_register_elsewhere);
  g_test_add_func("/no-memory/register-mutex", test_register_mutex);
  g_test_add_func("/no-memory/register-for-many-objects", test_register_for_many_objects);
  g_test_add_func("/no-memory/the-rest", test_the_rest);
  g_test_add_func("/no-memory/load", test_load);
  g_test_add_func("/no-memory/unregister", test_unregister);
  g_test_add_func("/no-memory/none-in-a-fork", test_none_in_a_fork);
  g_test_add_func("/no-memory/nested-deeply", test_nested_deeply);
  g_test_add_func("/no-memory/register-with-long-name", test_register_with_long_name);
  g_test_add_func("/no-memory/register-far-away", test_register_far_away);
  g_test_add_func("/no-memory/grow", test_grow);
  g_test_add_func("/no-memory/exit", test_exit);
  g_test_add_func("/no-memory/walk-waits-for-memory", test_walk_waits_for_memory);
  g_test_add_func("/no-memory/two-map-frames", test_two_map_frames);
  return g_test_run();
}
