/* SPDX-License-Identifier: MIT */
/* Promise 8: who a process is, as it says itself: generation, lineage, seed; and the library's version. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"

static const char *expected;

static void check_lineage(void) {
  char lineage[64];
  child_check_int(atfork_lineage(lineage, sizeof lineage), ==, strlen(expected));
  if (strcmp(lineage, expected) != 0) child_fails(__FILE__, __LINE__, lineage);
}

static void second_level(void) {
  expected = "0.2";
  check_lineage();
  expected = "0.2.1";
  in_child(fork, check_lineage);
  expected = "0.2.2";
  in_child(fork, check_lineage);
}

/* The first test: nobody has called the library yet, and numbers begin at 1. */
static void test_lineage(void) {
  errno = ERANGE;
  g_assert_true(atfork_generation() == 0);
  g_assert_cmpint(errno, ==, ERANGE);
  char lineage[8];
  g_assert_cmpint(atfork_lineage(lineage, sizeof lineage), ==, 1);
  g_assert_cmpstr(lineage, ==, "0");
  expected = "0.1";
  in_child(fork, check_lineage);
  in_child(fork, second_level);
  expected = "0.3";
  in_child(fork, check_lineage);
}

static void cut_off(void) {
  char lineage[64];
  child_check_int(atfork_lineage(lineage, sizeof lineage), >=, 3);
  for (size_t size = 1; size <= strlen(lineage) + 1; size++) {
    char small[64];
    memset(small, '#', sizeof small);
    child_check_int(atfork_lineage(small, size), ==, strlen(lineage));
    child_check_int(small[size - 1], ==, '\0');
    child_check(strncmp(small, lineage, size - 1) == 0);
    child_check_int(small[size], ==, '#');
  }
}

static void test_lineage_is_cut_off(void) {
  in_child(fork, cut_off);
}

/* Deep enough to fill what holds the lineage, and some more; each process forks one, which forks the next.  Most
 * numbers are used up before that, so that it takes fewer processes. */
enum { VERY_DEEP = 200, USED_UP = 999 };
static char (*deep)[1024];
static int depth;

static void dive(void) {
  int length = atfork_lineage(deep[depth], sizeof deep[depth]);
  child_check_int(length, ==, strlen(deep[depth]));
  child_check_int(atfork_generation(), ==, depth);
  if (depth + 1 == VERY_DEEP) return;
  char token[1024];
  for (int i = 0; i < USED_UP; i++) atfork_token(token, sizeof token);
  depth++;
  pid_t pid = fork();
  if (pid == 0) {
    dive();
    child_passes();
  }
  expect_passed(pid);
}

static int compare_lineages(const void *a, const void *b) {
  return strcmp(a, b);
}

static void test_lineage_stays_unique_when_deep(void) {
  deep = share(sizeof *deep * VERY_DEEP);
  depth = 1;
  in_child(fork, dive);
  g_assert_true(deep[VERY_DEEP - 1][0] == '~');
  g_assert_true(g_str_has_suffix(deep[VERY_DEEP - 1], ".1000.1000"));
  qsort(deep + 1, VERY_DEEP - 1, sizeof *deep, compare_lineages);
  for (int i = 2; i < VERY_DEEP; i++) g_assert_cmpstr(deep[i - 1], !=, deep[i]);
}

/* ---- Seeds ---- */

enum { CHILDREN = 200, BASES = 3 };
static uint64_t (*seeds)[BASES];
static int which;

static void write_seeds(void) {
  for (uint64_t base = 0; base < BASES; base++) seeds[which][base] = atfork_seed(base);
}

static int compare_seeds(const void *a, const void *b) {
  uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
  return (one > other) - (one < other);
}

static void test_seeds_are_distinct(void) {
  seeds = share(sizeof *seeds * CHILDREN);
  for (which = 0; which < CHILDREN; which++) in_child(fork, write_seeds);
  uint64_t differ[64] = {0};
  for (int i = 0; i < CHILDREN; i++) {
    for (int base = 0; base < BASES; base++)
      for (int bit = 0; bit < 64; bit++) differ[bit] += seeds[i][base] >> bit & 1;
  }
  /* Each bit is set in about half of the 600: far outside of six standard deviations is no accident. */
  for (int bit = 0; bit < 64; bit++) {
    g_assert_cmpuint(differ[bit], >, 300 - 74);
    g_assert_cmpuint(differ[bit], <, 300 + 74);
  }
  uint64_t *all = seeds[0];
  qsort(all, CHILDREN * BASES, sizeof *all, compare_seeds);
  for (int i = 1; i < CHILDREN * BASES; i++) g_assert_cmpuint(all[i - 1], !=, all[i]);
}

static void test_seed_depends_on_lineage_alone(void) {
  g_assert_cmpuint(atfork_seed(0), ==, UINT64_C(7130702816634162376));
  g_assert_cmpuint(atfork_seed(42), ==, UINT64_C(12295202562756260613));
  g_assert_cmpuint(atfork_seed(42), !=, atfork_seed(43));
}

static void test_version(void) {
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", ATFORK_VERSION_MAJOR, ATFORK_VERSION_MINOR, ATFORK_VERSION_MICRO);
  g_assert_cmpstr(atfork_version(), ==, version);
  g_assert_cmpstr(atfork_version(), ==, PROJECT_VERSION);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/process/lineage", test_lineage);
  g_test_add_func("/process/lineage-is-cut-off", test_lineage_is_cut_off);
  g_test_add_func("/process/lineage-stays-unique-when-deep", test_lineage_stays_unique_when_deep);
  g_test_add_func("/process/seeds-are-distinct", test_seeds_are_distinct);
  g_test_add_func("/process/seed-depends-on-lineage-alone", test_seed_depends_on_lineage_alone);
  g_test_add_func("/process/version", test_version);
  return g_test_run();
}
