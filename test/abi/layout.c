/* SPDX-License-Identifier: MIT */
/* What programs have compiled into them of the header: sizes, places, numbers and signatures, on each platform. */
#include <atfork.h>
#include <glib.h>
#include <stddef.h>

/* ---- Signatures ---- */

/* Another one in the header does not compile. */
static atfork_id (*const add)(const struct atfork_hook *) = atfork_register;
static atfork_id (*const add_for)(const struct atfork_hook *, void *) = atfork_register_for;
static atfork_id (*const add_after)(void (*)(void *), void *) = atfork_register_after_fork;
static atfork_id (*const add_after_for)(void (*)(void *), void *, void *) = atfork_register_after_fork_for;
#ifndef _WIN32
static atfork_id (*const add_mutex)(pthread_mutex_t *, int) = atfork_register_mutex;
static atfork_id (*const add_mutex_for)(pthread_mutex_t *, int, void *) = atfork_register_mutex_for;
#endif
static int (*const take_back)(uint64_t) = atfork_unregister;
static uint64_t (*const generation)(void) = atfork_generation;
static int (*const lineage)(char *, size_t) = atfork_lineage;
static enum atfork_place (*const place)(void) = atfork_place;
static uint64_t (*const run)(void) = atfork_run;
static uint64_t (*const seed)(uint64_t) = atfork_seed;
static void (*const seed_bytes)(uint64_t, void *, size_t) = atfork_seed_bytes;
static int (*const poll_now)(void) = atfork_poll;
static void (*const once)(struct atfork_once *, void (*)(void *), void *) = atfork_once;
static int (*const visit)(int (*)(const struct atfork_info *, void *), void *) = atfork_foreach;
static int (*const token)(char *, size_t) = atfork_token;
static int (*const child_token)(const char *, uint64_t, char *, size_t) = atfork_child_token;
static int (*const spawned)(const char *) = atfork_spawned;
static int (*const adopt)(const char *) = atfork_adopt;
static int (*const launcher)(char *, size_t) = atfork_launcher;
static const char *(*const version)(void) = atfork_version;
static const uint64_t *(*const mark)(void) = atfork_mark;

static void test_functions_are_there(void) {
  const void *const all[] = {
      &add,       &add_for,       &add_after,   &add_after_for, &take_back, &generation, &lineage,
      &place,     &run,           &seed,        &once,          &visit,     &seed_bytes, &poll_now,
      &token,     &version,       &child_token, &spawned,       &adopt,     &launcher,   &mark,
#ifndef _WIN32
      &add_mutex, &add_mutex_for,
#endif
  };
  for (size_t i = 0; i < G_N_ELEMENTS(all); i++) g_assert_nonnull(*(void *const *)all[i]);
}

/* ---- Structs ---- */

enum { WORD = sizeof(void *) };

struct number {
  char before;
  uint64_t number;
};

/* Where a struct has a number of 64 bits: i386 aligns it to 4 bytes, all others to 8. */
#define ALIGNMENT (offsetof(struct number, number))

#define EXPECT_MEMBER(type, member, place, size)                \
  do {                                                          \
    g_assert_cmpuint(offsetof(type, member), ==, (place));      \
    g_assert_cmpuint(sizeof(((type *)NULL)->member), ==, size); \
  } while (0)

static void test_hook(void) {
  EXPECT_MEMBER(struct atfork_hook, name, 0 * WORD, WORD);
  EXPECT_MEMBER(struct atfork_hook, priority, 1 * WORD, 4);
  EXPECT_MEMBER(struct atfork_hook, prepare, 2 * WORD, WORD);
  EXPECT_MEMBER(struct atfork_hook, parent, 3 * WORD, WORD);
  EXPECT_MEMBER(struct atfork_hook, child, 4 * WORD, WORD);
  EXPECT_MEMBER(struct atfork_hook, try_prepare, 5 * WORD, WORD);
  EXPECT_MEMBER(struct atfork_hook, wait, 6 * WORD, WORD);
  EXPECT_MEMBER(struct atfork_hook, data, 7 * WORD, WORD);
  EXPECT_MEMBER(struct atfork_hook, destroy, 8 * WORD, WORD);
  g_assert_cmpuint(sizeof(struct atfork_hook), ==, 9 * WORD);
}

static void test_info(void) {
  EXPECT_MEMBER(struct atfork_info, id, 0, 8);
  EXPECT_MEMBER(struct atfork_info, generation, 8, 8);
  EXPECT_MEMBER(struct atfork_info, hook, 16, 9 * WORD);
  g_assert_cmpuint(sizeof(struct atfork_info), ==, WORD == 8 ? 88 : ALIGNMENT == 8 ? 56 : 52);
}

static void test_once(void) {
  EXPECT_MEMBER(struct atfork_once, state, 0, 16);
  g_assert_cmpuint(sizeof(struct atfork_once), ==, 16);
  g_assert_cmpuint(_Alignof(struct atfork_once), ==, 8);
  struct atfork_once ready = ATFORK_ONCE_INIT;
  g_assert_cmpuint(ready.state[0], ==, 0);
  g_assert_cmpuint(ready.state[1], ==, 0);
}

/* ---- Numbers ---- */

static void test_numbers(void) {
  g_assert_cmpuint(sizeof(atfork_id), ==, 8);
  g_assert_cmpuint(sizeof(enum atfork_place), ==, 4);
  g_assert_cmpint(ATFORK_ROOT, ==, 0);
  g_assert_cmpint(ATFORK_FORKED, ==, 1);
  g_assert_cmpint(ATFORK_SPAWNED, ==, 2);
  g_assert_cmpint(ATFORK_ADOPTED, ==, 3);
  g_assert_cmpint(ATFORK_UNKNOWN, ==, 4);
  g_assert_cmpint(ATFORK_PRIORITY_MIN, ==, -32768);
  g_assert_cmpint(ATFORK_PRIORITY_MAX, ==, 32767);
}

/* ---- What the header's inline functions read ---- */

static void count(void *counter) {
  ++*(int *)counter;
}

/* Programs read both in place, and will with each later library of this SONAME.  Where the kernel does not wipe pages,
 * the mark stays 0, and programs call the library. */
static void test_what_is_read_in_place(void) {
  static struct atfork_once control;
  int made = 0;
  uint64_t here = generation() + 1;
  g_assert_true(*mark() == here || *mark() == 0);
  once(&control, count, &made);
  g_assert_cmpint(made, ==, 1);
  g_assert_cmpuint(control.state[0], ==, ~here);
}

/* ---- Versions ---- */

#if !ATFORK_CHECK_VERSION(0, 1, 0) || ATFORK_CHECK_VERSION(1000, 0, 0)
#error "the header is of another version than it says"
#endif

/* A version of which each number has one before it: the macro is made of these. */
#undef ATFORK_VERSION_MAJOR
#undef ATFORK_VERSION_MINOR
#undef ATFORK_VERSION_MICRO
#define ATFORK_VERSION_MAJOR 2
#define ATFORK_VERSION_MINOR 3
#define ATFORK_VERSION_MICRO 4

static void test_versions(void) {
  for (int major = 1; major <= 3; major++)
    for (int minor = 2; minor <= 4; minor++)
      for (int micro = 3; micro <= 5; micro++)
        g_assert_cmpint(ATFORK_CHECK_VERSION(major, minor, micro), ==, 20304 >= major * 10000 + minor * 100 + micro);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/layout/functions", test_functions_are_there);
  g_test_add_func("/layout/hook", test_hook);
  g_test_add_func("/layout/info", test_info);
  g_test_add_func("/layout/once", test_once);
  g_test_add_func("/layout/numbers", test_numbers);
  g_test_add_func("/layout/read-in-place", test_what_is_read_in_place);
  g_test_add_func("/layout/versions", test_versions);
  return g_test_run();
}
