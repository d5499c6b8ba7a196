/* SPDX-License-Identifier: MIT */
/* Promise 1: hooks run by priority, then by registration; `prepare` in the reverse. */
#include <atfork.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"

/* What ran in this process, in order: one letter a hook. */
static struct {
  char prepared[64];
  char parented[64];
  char childed[64];
} ran;

static void note(char *where, void *letter) {
  size_t length = strlen(where);
  where[length] = *(char *)letter;
  where[length + 1] = '\0';
}
static void prepare(void *letter) {
  note(ran.prepared, letter);
}
static void parent(void *letter) {
  note(ran.parented, letter);
}
static void child(void *letter) {
  note(ran.childed, letter);
}

static atfork_id add(const char *letter, int priority) {
  atfork_id id = atfork_register(&(struct atfork_hook){.name = letter,
                                                       .priority = priority,
                                                       .prepare = prepare,
                                                       .parent = parent,
                                                       .child = child,
                                                       .data = (void *)(uintptr_t)letter});
  g_assert_cmpuint(id, !=, 0);
  return id;
}

static const char *wanted;

static void check_child(void) {
  child_check(strcmp(ran.childed, wanted) == 0);
  child_check(strcmp(ran.parented, "") == 0);
}

static void expect_order(const char *order) {
  char reverse[64] = "";
  for (size_t i = 0, length = strlen(order); i < length; i++) reverse[i] = order[length - 1 - i];
  memset(&ran, 0, sizeof ran);
  wanted = order;
  in_child(fork, check_child);
  g_assert_cmpstr(ran.prepared, ==, reverse);
  g_assert_cmpstr(ran.parented, ==, order);
  g_assert_cmpstr(ran.childed, ==, "");
  unregister_all();
}

static void test_by_registration(void) {
  add("a", 0);
  add("b", 0);
  add("c", 0);
  expect_order("abc");
}

static void test_by_priority(void) {
  add("a", 5);
  add("b", ATFORK_PRIORITY_MAX);
  add("c", -1);
  add("d", 0);
  add("e", ATFORK_PRIORITY_MIN);
  add("f", 5);
  add("g", 300);
  expect_order("ecdafgb");
  /* Priorities are kept in groups of 256; these are the first and the last of some. */
  add("a", 256);
  add("b", 511);
  add("c", -1);
  add("d", -256);
  add("e", -257);
  add("f", 5000);
  expect_order("edcabf");
}

static void test_after_unregistering(void) {
  atfork_id ids[26];
  static const char letters[] = "a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0p\0q\0r\0s\0t\0u\0v\0w\0x\0y\0z";
  for (int i = 0; i < 26; i++) ids[i] = add(&letters[2 * i], i % 2);
  for (int i = 0; i < 26; i += 3) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
  add("A", 0);
  add("B", 1);
  expect_order("ceikoquwAbfhlnrtxzB");
}

/* Enough come and go for the registry to shrink in between, many times. */
static void test_after_many_unregistrations(void) {
  enum { MANY = 2000 };
  static atfork_id ids[MANY];
  add("a", 0);
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < MANY; i++) ids[i] = add("-", i % 7 - 3);
    if (round == 2) add("b", 0);
    for (int i = 0; i < MANY; i++) g_assert_cmpint(atfork_unregister(ids[i * 7 % MANY]), ==, 0);
  }
  add("c", 0);
  add("z", -9);
  expect_order("zabc");
}

/* So many that the arrays of a chunk come in several blocks: each counts, and knows its place. */
enum { MANY = 20000 };
static long prepared, parented, childed;

static void prepare_backwards(void *place) {
  child_check_int(--prepared, ==, (intptr_t)place);
}
static void parent_forwards(void *place) {
  child_check_int(parented++, ==, (intptr_t)place);
}
static void child_forwards(void *place) {
  child_check_int(childed++, ==, (intptr_t)place);
}

static void all_ran(void) {
  child_check_int(prepared, ==, 0);
  child_check_int(parented, ==, 0);
  child_check_int(childed, ==, MANY);
}

static void test_many(void) {
  static atfork_id ids[2 * MANY];
  /* Of two hooks that come, one goes. */
  for (intptr_t i = 0; i < 2 * MANY; i++) {
    ids[i] = atfork_register(&(struct atfork_hook){
        .prepare = prepare_backwards, .parent = parent_forwards, .child = child_forwards, .data = (void *)(i / 2)});
    g_assert_cmpuint(ids[i], !=, 0);
  }
  for (int i = 0; i < 2 * MANY; i += 2) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
  for (int forks = 0; forks < 3; forks++) {
    prepared = MANY;
    parented = childed = 0;
    in_child(fork, all_ran);
    g_assert_cmpint(prepared, ==, 0);
    g_assert_cmpint(parented, ==, MANY);
    g_assert_cmpint(childed, ==, 0);
  }
  unregister_all();
}

static int visit(const struct atfork_info *info, void *seen) {
  note(seen, info->hook.data);
  return 0;
}

static void test_foreach_is_in_run_order(void) {
  char seen[64] = "";
  add("a", 5);
  add("b", -5);
  add("c", 5);
  g_assert_cmpint(atfork_foreach(visit, seen), ==, 0);
  g_assert_cmpstr(seen, ==, "bac");
  unregister_all();
}

static int stop_at_b(const struct atfork_info *info, void *count) {
  ++*(int *)count;
  return strcmp(info->hook.name, "b") == 0 ? 17 : 0;
}

static void test_foreach_stops(void) {
  int count = 0;
  add("a", 0);
  add("b", 0);
  add("c", 0);
  g_assert_cmpint(atfork_foreach(stop_at_b, &count), ==, 17);
  g_assert_cmpint(count, ==, 2);
  unregister_all();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/order/by-registration", test_by_registration);
  g_test_add_func("/order/by-priority", test_by_priority);
  g_test_add_func("/order/after-unregistering", test_after_unregistering);
  g_test_add_func("/order/after-many-unregistrations", test_after_many_unregistrations);
  g_test_add_func("/order/many", test_many);
  g_test_add_func("/order/foreach-is-in-run-order", test_foreach_is_in_run_order);
  g_test_add_func("/order/foreach-stops", test_foreach_stops);
  return g_test_run();
}
