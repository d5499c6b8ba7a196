/* SPDX-License-Identifier: MIT */
/*
 * Promise 17: atfork_spawned() runs hooks as the child phase of a fork does.  It does so once in a process, so each
 * case is a worker of its own: this program again, as  spawned --worker CASE TOKEN.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callbacks.h"
#include "hooks.h"
#include "programs.h"

enum { ROOM = 1024, MANY = 100000, PASSED = 42 };

static char *program;     /* this one */
static const char *token; /* in a worker: its own */

/* What ran here, in order: one letter a hook. */
static char ran[64];

static void run(void *letter) {
  strncat(ran, letter, 1);
}

static void must_not_run(void *unused) {
  (void)unused;
  g_error("ran, and must not have");
}

static atfork_id add(const char *letter, int priority) {
  atfork_id id =
      atfork_register(&(struct atfork_hook){.priority = priority, .child = run, .data = (void *)(uintptr_t)letter});
  g_assert_cmpuint(id, !=, 0);
  return id;
}

static int hooks(void) {
  int counter = 0;
  g_assert_cmpint(atfork_foreach(count_hook, &counter), ==, 0);
  return counter;
}

static void be_spawned(void) {
  errno = 0;
  g_assert_cmpint(atfork_spawned(token), ==, 0);
  g_assert_cmpint(errno, ==, 0);
}

/* ---- Cases, in a worker ---- */

static void in_order(void) {
  add("a", 5);
  add("b", ATFORK_PRIORITY_MAX);
  add("c", -1);
  add("d", 0);
  add("e", ATFORK_PRIORITY_MIN);
  add("f", 5);
  add("g", 300);
  g_assert_cmpstr(ran, ==, "");
  be_spawned();
  g_assert_cmpstr(ran, ==, "ecdafgb");
}

static void once(void) {
  add("a", 0);
  be_spawned();
  g_assert_cmpint(atfork_poll(), ==, 0);
  g_assert_cmpint(atfork_spawned(token), ==, -1);
  g_assert_cmpint(errno, ==, EALREADY);
  add("b", 0);
  g_assert_cmpint(atfork_poll(), ==, 0);
  g_assert_cmpstr(ran, ==, "a");
}

static void only_child(void) {
  const struct atfork_hook hook = {.prepare = must_not_run, .parent = must_not_run, .child = run, .data = (void *)"a"};
  const struct atfork_hook other = {.prepare = must_not_run, .parent = must_not_run};
  g_assert_cmpuint(atfork_register(&hook), !=, 0);
  g_assert_cmpuint(atfork_register(&other), !=, 0);
  be_spawned();
  g_assert_cmpstr(ran, ==, "a");
}

static void after_unregistering(void) {
  static const char letters[] = "a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0p\0q\0r\0s\0t\0u\0v\0w\0x\0y\0z";
  atfork_id ids[26];
  for (int i = 0; i < 26; i++) ids[i] = add(&letters[2 * i], i % 2);
  for (int i = 0; i < 26; i += 3) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
  add("A", 0);
  add("B", 1);
  be_spawned();
  g_assert_cmpstr(ran, ==, "ceikoquwAbfhlnrtxzB");
}

/* Before and after what runs now. */
static void add_others(void *unused) {
  (void)unused;
  for (int priority = -1; priority <= 1; priority++)
    g_assert_cmpuint(atfork_register(&(struct atfork_hook){.priority = priority, .child = must_not_run}), !=, 0);
}

static void registered_meanwhile(void) {
  atfork_register_after_fork(add_others, NULL);
  be_spawned();
  g_assert_cmpint(hooks(), ==, 4);
}

static atfork_id one, two;
static int destroyed;

static void destroy(void *unused) {
  (void)unused;
  destroyed++;
}

/* Itself and another; both get the rest of what is under way. */
static void drop(void *unused) {
  (void)unused;
  g_assert_cmpint(atfork_unregister(one), ==, 0);
  g_assert_cmpint(atfork_unregister(two), ==, 0);
  g_assert_cmpint(atfork_unregister(two), ==, -1);
  g_assert_cmpint(destroyed, ==, 0);
}

static void unregistered_meanwhile(void) {
  one = atfork_register(&(struct atfork_hook){.child = drop, .destroy = destroy});
  two = atfork_register(&(struct atfork_hook){.child = run, .data = (void *)"b", .destroy = destroy});
  add("c", 0);
  be_spawned();
  g_assert_cmpstr(ran, ==, "bc");
  g_assert_cmpint(destroyed, ==, 2);
  g_assert_cmpint(hooks(), ==, 1);
}

static struct atfork_once control = ATFORK_ONCE_INIT;
static int inits;

static void init(void *unused) {
  (void)unused;
  inits++;
}

/* In a callback this is the new process already. */
static void look_around(void *unused) {
  char lineage[ROOM];
  (void)unused;
  g_assert_cmpuint(atfork_generation(), ==, 1);
  g_assert_cmpint(atfork_lineage(lineage, sizeof lineage), >, 2);
  atfork_once(&control, init, NULL);
  atfork_once(&control, init, NULL);
  g_assert_cmpint(inits, ==, 2);
  atfork_id id = atfork_register_after_fork(must_not_run, NULL);
  g_assert_cmpint(hooks(), ==, 2);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  g_assert_cmpint(atfork_poll(), ==, 0);
  free(malloc(100));
}

static void callbacks_call_everything(void) {
  g_assert_cmpuint(atfork_generation(), ==, 0);
  atfork_once(&control, init, NULL);
  g_assert_cmpint(inits, ==, 1);
  atfork_register_after_fork(look_around, NULL);
  be_spawned();
  g_assert_cmpint(inits, ==, 2);
}

/* Before it knows its place, it is as the root, on every system alike. */
static void before(void) {
  char lineage[8], version[32];
  g_assert_cmpuint(atfork_generation(), ==, 0);
  g_assert_cmpint(atfork_lineage(lineage, sizeof lineage), ==, 1);
  g_assert_cmpstr(lineage, ==, "0");
  g_assert_cmpuint(atfork_seed(0), ==, UINT64_C(7130702816634162376));
  g_assert_cmpuint(atfork_seed(42), ==, UINT64_C(12295202562756260613));
  g_snprintf(version, sizeof version, "%d.%d.%d", ATFORK_VERSION_MAJOR, ATFORK_VERSION_MINOR, ATFORK_VERSION_MICRO);
  g_assert_cmpstr(atfork_version(), ==, version);
  g_assert_cmpstr(atfork_version(), ==, PROJECT_VERSION);
  be_spawned();
  g_assert_cmpuint(atfork_seed(42), !=, UINT64_C(12295202562756260613));
}

static void bad_token_first(void) {
  add("a", 0);
  g_assert_cmpint(atfork_spawned("atfork2:0123456789abcdef:1:0.1:0000000000000000"), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
  g_assert_cmpint(atfork_spawned(NULL), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
  g_assert_cmpstr(ran, ==, "");
  g_assert_cmpuint(atfork_generation(), ==, 0);
  be_spawned();
  g_assert_cmpstr(ran, ==, "a");
}

/* Each tells where it comes in the run; those of one priority come one after another. */
static int numbers[MANY], next_of[7], largest;

static void run_next(void *number) {
  int i = (int)((int *)number - numbers);
  int priority = i % 7;
  g_assert_cmpint(priority, >=, largest);
  g_assert_cmpint(i, >=, next_of[priority]);
  largest = priority;
  next_of[priority] = i + 1;
  numbers[i]++;
}

static void many(void) {
  static atfork_id ids[MANY];
  for (int i = 0; i < MANY; i++) {
    ids[i] = atfork_register(&(struct atfork_hook){.priority = i % 7, .child = run_next, .data = &numbers[i]});
    g_assert_cmpuint(ids[i], !=, 0);
  }
  for (int i = 0; i < MANY; i += 3) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
  be_spawned();
  for (int i = 0; i < MANY; i++) g_assert_cmpint(numbers[i], ==, i % 3 == 0 ? 0 : 1);
}

static void expect_no_token(void *unused) {
  (void)unused;
  g_assert_true(getenv("ATFORK_TOKEN") == NULL);
}

static void in_environment(void) {
  g_assert_true(getenv("ATFORK_TOKEN") != NULL);
  token = NULL;
  add("a", 0);
  atfork_register_after_fork(expect_no_token, NULL);
  be_spawned();
  g_assert_cmpstr(ran, ==, "a");
  g_assert_true(getenv("ATFORK_TOKEN") == NULL);
}

/* ---- Running workers ---- */

static void run_worker(const char *name, const char *with, bool in_its_environment) {
  char variable[ROOM + 16], *said;
  snprintf(variable, sizeof variable, "ATFORK_TOKEN=%s", with);
  int status = run_program((const char *const[]){program, "--worker", name, with, NULL},
                           (const char *const[]){in_its_environment ? variable : NULL, NULL}, &said, NULL);
  if (status != 0) g_error("worker %s ended with %d: %s", name, status, said);
  g_assert_true(strstr(said, "passed") != NULL);
  free(said);
}

static void make_worker(const char *name) {
  char next[ROOM];
  g_assert_cmpint(atfork_token(next, sizeof next), <, ROOM);
  run_worker(name, next, strcmp(name, "in-environment") == 0);
}

static void two_below(void) {
  char lineage[ROOM];
  be_spawned();
  g_assert_cmpuint(atfork_generation(), ==, 2);
  g_assert_cmpint(atfork_lineage(lineage, sizeof lineage), >, 4);
  g_assert_true(g_str_has_suffix(lineage, ".1"));
}

/* A worker that has one of its own. */
static void workers_of_workers(void) {
  be_spawned();
  make_worker("two-below");
}

static const struct {
  const char *name;
  const char *path;
  void (*run)(void);
} cases[] = {
    {"in-order", "/spawned/in-order", in_order},
    {"once", "/spawned/once", once},
    {"only-child", "/spawned/only-child", only_child},
    {"after-unregistering", "/spawned/after-unregistering", after_unregistering},
    {"registered-meanwhile", "/spawned/registered-meanwhile", registered_meanwhile},
    {"unregistered-meanwhile", "/spawned/unregistered-meanwhile", unregistered_meanwhile},
    {"callbacks-call-everything", "/spawned/callbacks-call-everything", callbacks_call_everything},
    {"before", "/spawned/before", before},
    {"bad-token-first", "/spawned/bad-token-first", bad_token_first},
    {"many", "/spawned/many", many},
    {"in-environment", "/spawned/in-environment", in_environment},
    {"workers-of-workers", "/spawned/workers-of-workers", workers_of_workers},
    {"two-below", NULL, two_below},
};

static int be_worker(const char *name) {
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    if (strcmp(cases[i].name, name) != 0) continue;
    cases[i].run();
    puts("passed");
    return 0;
  }
  return 2;
}

static void test_case(gconstpointer name) {
  make_worker(name);
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc == 4 && strcmp(argv[1], "--worker") == 0) {
    token = argv[3];
    return be_worker(argv[2]);
  }
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    if (cases[i].path != NULL) g_test_add_data_func(cases[i].path, cases[i].name, test_case);
  return g_test_run();
}
