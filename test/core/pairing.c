/* SPDX-License-Identifier: MIT */
/* Promise 2: a fork's hooks are those registered when it begins, for all three phases. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"

/* How often each callback ran, as this process remembers: a child's memory has its parent's `prepare`. */
struct counts {
  int prepared;
  int parented;
  int childed;
  int destroyed;
};

static struct counts one, two;
static atfork_id one_id, two_id;

static void prepare(void *counts) {
  ((struct counts *)counts)->prepared++;
}
static void parent(void *counts) {
  ((struct counts *)counts)->parented++;
}
static void child(void *counts) {
  ((struct counts *)counts)->childed++;
}
static void destroy(void *counts) {
  ((struct counts *)counts)->destroyed++;
}

static atfork_id add(struct counts *counts) {
  atfork_id id = atfork_register(
      &(struct atfork_hook){.prepare = prepare, .parent = parent, .child = child, .destroy = destroy, .data = counts});
  g_assert_cmpuint(id, !=, 0);
  return id;
}

static void start(void) {
  one = two = (struct counts){0};
  one_id = two_id = 0;
}

#define expect(counts, p, q, c)                  \
  do {                                           \
    g_assert_cmpint((counts).prepared, ==, (p)); \
    g_assert_cmpint((counts).parented, ==, (q)); \
    g_assert_cmpint((counts).childed, ==, (c));  \
  } while (0)
#define child_expect(counts, p, q, c)            \
  do {                                           \
    child_check_int((counts).prepared, ==, (p)); \
    child_check_int((counts).parented, ==, (q)); \
    child_check_int((counts).childed, ==, (c));  \
  } while (0)

/* ---- Registered while a fork is under way ---- */

static void add_two(void *unused) {
  (void)unused;
  if (two_id == 0) two_id = add(&two);
}

static void two_has_not_run(void) {
  child_expect(two, 0, 0, 0);
}

static void two_has_run_once(void) {
  child_expect(two, 1, 0, 1);
}

static void check_joins_next_fork(const struct atfork_hook *adder, void (*check_first)(void)) {
  start();
  atfork_id id = atfork_register(adder);
  in_child(fork, check_first);
  expect(two, 0, 0, 0);
  atfork_unregister(id);
  if (two_id == 0) return;
  in_child(fork, two_has_run_once);
  expect(two, 1, 1, 0);
  unregister_all();
}

static void test_registered_in_prepare(void) {
  check_joins_next_fork(&(struct atfork_hook){.prepare = add_two}, two_has_not_run);
  check_joins_next_fork(&(struct atfork_hook){.priority = -1, .prepare = add_two}, two_has_not_run);
  check_joins_next_fork(&(struct atfork_hook){.priority = 1, .prepare = add_two}, two_has_not_run);
}

static void test_registered_in_parent(void) {
  check_joins_next_fork(&(struct atfork_hook){.priority = -1, .parent = add_two}, two_has_not_run);
}

static void two_joins_next_fork(void) {
  child_expect(two, 0, 0, 0);
  child_check_int(atfork_unregister(one_id), ==, 0);
  in_child(fork, two_has_run_once);
  child_expect(two, 1, 1, 0);
}

static void test_registered_in_child(void) {
  start();
  one_id = atfork_register(&(struct atfork_hook){.priority = -1, .child = add_two});
  in_child(fork, two_joins_next_fork);
  expect(two, 0, 0, 0);
  unregister_all();
}

/* ---- Unregistered while a fork is under way ---- */

static void drop_two(void *unused) {
  (void)unused;
  if (two_id != 0) g_assert_cmpint(atfork_unregister(two_id), ==, 0);
  two_id = 0;
}

static void two_got_the_rest(void) {
  child_expect(two, 1, 0, 1);
  child_check_int(two.destroyed, ==, 1);
}

static void two_is_gone(void) {
  child_expect(two, 1, 1, 0);
}

static void two_ran_in_the_child(void) {
  child_expect(two, 1, 0, 1);
  child_check_int(two.destroyed, ==, 0);
}

static void check_gets_the_rest(struct atfork_hook dropper, void (*check)(void), int destroyed) {
  for (int priority = -1; priority <= 1; priority += 2) {
    start();
    dropper.priority = priority;
    two_id = add(&two);
    atfork_id id = atfork_register(&dropper);
    in_child(fork, check);
    expect(two, 1, 1, 0);
    g_assert_cmpint(two.destroyed, ==, destroyed);
    /* And takes part in no later one. */
    if (destroyed) {
      in_child(fork, two_is_gone);
      expect(two, 1, 1, 0);
    }
    atfork_unregister(id);
    unregister_all();
  }
}

static void test_unregistered_in_prepare(void) {
  check_gets_the_rest((struct atfork_hook){.prepare = drop_two}, two_got_the_rest, 1);
}

static void test_unregistered_in_parent(void) {
  check_gets_the_rest((struct atfork_hook){.parent = drop_two}, two_ran_in_the_child, 1);
}

static void test_unregistered_in_child(void) {
  check_gets_the_rest((struct atfork_hook){.child = drop_two}, two_got_the_rest, 0);
}

static void drop_itself(void *counts) {
  ((struct counts *)counts)->prepared++;
  g_assert_cmpint(atfork_unregister(two_id), ==, 0);
  /* Not before the fork ends. */
  g_assert_cmpint(((struct counts *)counts)->destroyed, ==, 0);
}

static void test_unregisters_itself(void) {
  start();
  two_id = atfork_register(&(struct atfork_hook){
      .prepare = drop_itself, .parent = parent, .child = child, .destroy = destroy, .data = &two});
  in_child(fork, two_got_the_rest);
  expect(two, 1, 1, 0);
  g_assert_cmpint(two.destroyed, ==, 1);
  in_child(fork, two_is_gone);
  expect(two, 1, 1, 0);
}

/* Forks inside that begin after it was unregistered have it too, and end before the one that it waits for. */
static int levels;

static void two_was_inside(void) {
  child_expect(two, 3, 2, 1);
  child_check_int(two.destroyed, ==, 1);
}

static void drop_and_fork_twice(void *unused) {
  if (levels == 0) drop_two(unused);
  if (levels++ < 2) in_child(fork, child_passes);
  g_assert_cmpint(two.destroyed, ==, 0);
}

static void test_unregistered_before_inner_forks(void) {
  start();
  levels = 0;
  two_id = add(&two);
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = 1, .prepare = drop_and_fork_twice});
  in_child(fork, two_was_inside);
  expect(two, 3, 3, 0);
  g_assert_cmpint(two.destroyed, ==, 1);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

/* ---- Callbacks may do with errno as they like ---- */

static void set_errno(void *unused) {
  (void)unused;
  errno = EDOM;
}

static void errno_is_kept(void) {
  child_check_int(errno, ==, ERANGE);
}

static void test_errno_is_kept(void) {
  static const struct atfork_hook setters[] = {{.prepare = set_errno}, {.parent = set_errno}, {.child = set_errno}};
  for (size_t i = 0; i < G_N_ELEMENTS(setters); i++) {
    atfork_id id = atfork_register(&setters[i]);
    errno = ERANGE;
    pid_t pid = fork();
    if (pid == 0) errno_is_kept();
    if (pid == 0) child_passes();
    g_assert_cmpint(errno, ==, ERANGE);
    expect_passed(pid);
    g_assert_cmpint(atfork_unregister(id), ==, 0);
  }
}

/* ---- Forks inside callbacks ---- */

static int forks_left;

/* In the inner child, its own fork is balanced, and the outer one goes on. */
static void inner_is_paired(void) {
  child_check_int(one.prepared, ==, 2);
  child_check_int(one.parented, ==, 0);
  child_check_int(one.childed, ==, 1);
}

static void fork_inside(void *unused) {
  (void)unused;
  if (forks_left-- == 1) in_child(fork, inner_is_paired);
}

static void is_balanced(void) {
  child_check_int(one.childed, ==, 1);
  child_check_int(one.prepared, ==, one.parented + one.childed);
}

static void check_nested(struct atfork_hook forker) {
  start();
  forks_left = 1;
  one_id = add(&one);
  atfork_id id = atfork_register(&forker);
  in_child(fork, is_balanced);
  expect(one, 2, 2, 0);
  atfork_unregister(id);
  unregister_all();
}

/* At a time when the other hook has been prepared for the outer fork, and not yet paired. */
static void test_fork_in_prepare(void) {
  check_nested((struct atfork_hook){.priority = -1, .prepare = fork_inside});
}

static void test_fork_in_parent(void) {
  check_nested((struct atfork_hook){.priority = -1, .parent = fork_inside});
}

/* ---- Unregistered by a callback that then forks ---- */

static void has_part_inside(void) {
  child_expect(one, 2, 0, 1);
  child_check_int(one.destroyed, ==, 0);
}

static void drop_one_and_fork(void *unused) {
  (void)unused;
  atfork_id id = one_id;
  one_id = 0;
  if (id == 0) return; /* in the fork inside */
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  in_child(fork, has_part_inside);
}

static void one_got_the_rest(void) {
  child_expect(one, 2, 1, 1);
  child_check_int(one.destroyed, ==, 1);
}

/* It has part in the fork inside, as in the rest of the one around. */
static void test_fork_after_unregistering(void) {
  start();
  one_id = add(&one);
  add(&two);
  atfork_register(&(struct atfork_hook){.priority = -1, .prepare = drop_one_and_fork});
  in_child(fork, one_got_the_rest);
  expect(one, 2, 2, 0);
  expect(two, 2, 2, 0);
  g_assert_cmpint(one.destroyed, ==, 1);
  unregister_all();
}

/* A visit is no fork: what it unregisters takes no part in the forks that it makes. */
static void two_has_no_part(void) {
  child_expect(two, 0, 0, 0);
}

static int drop_two_and_fork(const struct atfork_info *info, void *unused) {
  (void)info;
  drop_two(unused);
  in_child(fork, two_has_no_part);
  return 1;
}

static void test_fork_in_a_visit_after_unregistering(void) {
  start();
  two_id = add(&two);
  g_assert_cmpint(atfork_foreach(drop_two_and_fork, NULL), ==, 1);
  expect(two, 0, 0, 0);
  g_assert_cmpint(two.destroyed, ==, 1);
}

/* ---- Forks inside callbacks, 64 deep ---- */

enum { DEEP = 64 };

/* The forks that this one is inside of have not come to their end here. */
static void one_childed(void) {
  child_check_int(one.childed, ==, 1);
}

static void fork_deeper(void *unused) {
  (void)unused;
  if (forks_left-- > 0) in_child(fork, one_childed);
}

static void check_deep(struct atfork_hook forker) {
  start();
  forks_left = DEEP;
  one_id = add(&one);
  atfork_id id = atfork_register(&forker);
  in_child(fork, is_balanced);
  g_assert_cmpint(forks_left, <, 0);
  expect(one, DEEP + 1, DEEP + 1, 0);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  g_assert_cmpint(atfork_unregister(one_id), ==, 0);
  g_assert_cmpint(one.destroyed, ==, 1);
}

static void test_deep_in_prepare(void) {
  check_deep((struct atfork_hook){.priority = -1, .prepare = fork_deeper});
}
static void test_deep_in_parent(void) {
  check_deep((struct atfork_hook){.priority = -1, .parent = fork_deeper});
}

static void fork_deeper_in_child(void *unused) {
  (void)unused;
  if (atfork_generation() <= DEEP) in_child(fork, child_passes);
  child_check_int(one.childed, ==, atfork_generation());
}

static void test_deep_in_child(void) {
  start();
  one_id = add(&one);
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = 1, .child = fork_deeper_in_child});
  in_child(fork, child_passes);
  expect(one, 1, 1, 0);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  g_assert_cmpint(atfork_unregister(one_id), ==, 0);
}

/* ---- Three processes deep, all of which come back: a hook runs once in each, whoever unregisters it and when ---- */

static void nothing(void *unused) {
  (void)unused;
}

static int visit_nothing(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  return 0;
}

static struct {
  atfork_id id;
  pid_t process;
  int times;
} later;

static void run_later(void *unused) {
  (void)unused;
  if (later.process != getpid()) later.times = 0;
  later.process = getpid();
  later.times++;
}

static void later_ran_once(void) {
  child_check_int(later.process, ==, getpid());
  child_check_int(later.times, ==, 1);
}

static void fork_and_return(void) {
  pid_t pid = fork();
  child_check_int(pid, >=, 0);
  if (pid > 0) expect_passed(pid);
}

static void fork_in_first(void *unused) {
  (void)unused;
  if (atfork_generation() == 1) fork_and_return();
}

static void unregister_and_fork_in_second(void *unused) {
  (void)unused;
  if (atfork_generation() != 2) return;
  child_check_int(atfork_unregister(later.id), ==, 0);
  fork_and_return();
}

/* In a table that comes in the middle of this walk. */
static const struct way *way;

static void renew_unregister_and_fork(void *unused) {
  atfork_id ids[200];
  if (atfork_generation() != 1) return;
  for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) ids[i] = atfork_register_after_fork(nothing, unused);
  for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) child_check_int(atfork_unregister(ids[i]), ==, 0);
  atfork_foreach(visit_nothing, NULL);
  child_check_int(atfork_unregister(later.id), ==, 0);
  pid_t pid = way->fork();
  child_check_int(pid, >=, 0);
  if (pid > 0) expect_passed(pid);
}

static void check_later(void) {
  later.id = atfork_register(&(struct atfork_hook){.parent = nothing, .child = run_later});
  in_child(fork, later_ran_once);
  unregister_all();
}

static void test_unregistered_deeper(void) {
  atfork_register_after_fork(fork_in_first, NULL);
  atfork_register_after_fork(unregister_and_fork_in_second, NULL);
  check_later();
}

/* Between the beginning of a fork and of another one in its preparation, whose child makes the first one, too. */
static bool is_nested;

static void unregister_and_fork_in_preparation(void *unused) {
  (void)unused;
  if (!is_nested) return;
  is_nested = false;
  child_check_int(atfork_unregister(later.id), ==, 0);
  fork_and_return();
}

static void fork_nested(void *unused) {
  (void)unused;
  if (atfork_generation() != 1) return;
  is_nested = true;
  fork_and_return();
}

static void test_unregistered_in_preparation(void) {
  atfork_register(&(struct atfork_hook){.prepare = unregister_and_fork_in_preparation, .child = fork_nested});
  check_later();
}

/* In a child that bypassed the handlers, another thread has run its hooks before one is unregistered. */
static void *poll_there(void *unused) {
  child_check_int(atfork_poll(), ==, 2);
  return unused;
}

static void bypass_and_unregister(void *unused) {
  pthread_t other;
  (void)unused;
  if (atfork_generation() != 1) return;
  pid_t pid = fork_by_syscall();
  if (pid > 0) expect_passed(pid);
  if (pid > 0) return;
  child_check_int(atfork_generation(), ==, 2);
  child_check_int(pthread_create(&other, NULL, poll_there, NULL), ==, 0);
  pthread_join(other, NULL);
  child_check_int(atfork_unregister(later.id), ==, 0);
}

static void test_unregistered_after_a_poll(void) {
  atfork_register_after_fork(bypass_and_unregister, NULL);
  check_later();
}

static void test_unregistered_in_a_new_table(void) {
  for (size_t i = 0; i < ways_count; i++) {
    way = &ways[i];
    atfork_register_after_fork(renew_unregister_and_fork, NULL);
    check_later();
  }
}

/* By a bypassing fork: what comes back has it run, once, also where it comes back into more than one fork. */
static uint64_t bypassing; /* the generation of who does */

static void unregister_and_bypass(void *unused) {
  (void)unused;
  if (atfork_generation() != bypassing) return;
  child_check_int(atfork_unregister(later.id), ==, 0);
  pid_t pid = fork_by_syscall();
  child_check_int(pid, >=, 0);
  if (pid > 0) expect_passed(pid);
}

static void test_bypassed_deeper(void) {
  bypassing = 2;
  atfork_register_after_fork(fork_in_first, NULL);
  atfork_register_after_fork(unregister_and_bypass, NULL);
  check_later();
}

/* One that has had its turn in the parent, and has none to come in the walk that its child comes back to. */
static void run_later_and_bypass(void *unused) {
  run_later(unused);
  unregister_and_bypass(unused);
}

static void test_unregisters_itself_and_bypasses(void) {
  bypassing = 1;
  later.id = atfork_register_after_fork(run_later_and_bypass, NULL);
  atfork_register_after_fork(nothing, NULL);
  in_child(fork, later_ran_once);
  unregister_all();
}

static void run_later_and_poll(void *unused) {
  run_later(unused);
  atfork_poll();
}

static void test_polls_after_a_bypass(void) {
  bypassing = 1;
  atfork_register_after_fork(unregister_and_bypass, NULL);
  later.id = atfork_register_after_fork(run_later_and_poll, NULL);
  in_child(fork, later_ran_once);
  unregister_all();
}

/* ---- In every phase, by another hook, itself, or another thread, registered and unregistered ---- */

static struct atfork_hook transient_hook;
static int transient_balance;

static void raise_balance(void *unused) {
  (void)unused;
  transient_balance++;
}
static void lower_balance(void *unused) {
  (void)unused;
  transient_balance--;
}

static void *come_and_go(void *unused) {
  atfork_id id = atfork_register(&transient_hook);
  if (id == 0 || atfork_unregister(id) != 0) abort();
  return unused;
}

/* It comes inside the fork, so it takes no part; and its unregistering need not wait for this one. */
static void have_a_thread_come_and_go(void *unused) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, come_and_go, NULL) != 0) abort();
  pthread_join(thread, NULL);
  come_and_go(unused);
}

static void transient_is_balanced(void) {
  child_check_int(transient_balance, ==, 0);
}

static void test_others_come_and_go(void) {
  transient_hook = (struct atfork_hook){.prepare = raise_balance, .parent = lower_balance, .child = lower_balance};
  atfork_id id = atfork_register(&(struct atfork_hook){
      .prepare = have_a_thread_come_and_go, .parent = have_a_thread_come_and_go, .child = have_a_thread_come_and_go});
  for (int i = 0; i < 50; i++) in_child(fork, transient_is_balanced);
  g_assert_cmpint(transient_balance, ==, 0);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/pairing/registered-in-prepare", test_registered_in_prepare);
  g_test_add_func("/pairing/registered-in-parent", test_registered_in_parent);
  g_test_add_func("/pairing/registered-in-child", test_registered_in_child);
  g_test_add_func("/pairing/unregistered-in-prepare", test_unregistered_in_prepare);
  g_test_add_func("/pairing/unregistered-in-parent", test_unregistered_in_parent);
  g_test_add_func("/pairing/unregistered-in-child", test_unregistered_in_child);
  g_test_add_func("/pairing/unregisters-itself", test_unregisters_itself);
  g_test_add_func("/pairing/unregistered-before-inner-forks", test_unregistered_before_inner_forks);
  g_test_add_func("/pairing/errno-is-kept", test_errno_is_kept);
  g_test_add_func("/pairing/fork-in-prepare", test_fork_in_prepare);
  g_test_add_func("/pairing/fork-in-parent", test_fork_in_parent);
  g_test_add_func("/pairing/fork-after-unregistering", test_fork_after_unregistering);
  g_test_add_func("/pairing/fork-in-a-visit-after-unregistering", test_fork_in_a_visit_after_unregistering);
  g_test_add_func("/pairing/unregistered-deeper", test_unregistered_deeper);
  g_test_add_func("/pairing/unregistered-in-preparation", test_unregistered_in_preparation);
  g_test_add_func("/pairing/unregistered-after-a-poll", test_unregistered_after_a_poll);
  g_test_add_func("/pairing/unregistered-in-a-new-table", test_unregistered_in_a_new_table);
  g_test_add_func("/pairing/bypassed-deeper", test_bypassed_deeper);
  g_test_add_func("/pairing/unregisters-itself-and-bypasses", test_unregisters_itself_and_bypasses);
  g_test_add_func("/pairing/polls-after-a-bypass", test_polls_after_a_bypass);
  g_test_add_func("/pairing/deep-in-prepare", test_deep_in_prepare);
  g_test_add_func("/pairing/deep-in-parent", test_deep_in_parent);
  g_test_add_func("/pairing/deep-in-child", test_deep_in_child);
  /* ThreadSanitizer ends a child that starts a thread. */
#ifdef __SANITIZE_THREAD__
  (void)test_others_come_and_go;
#else
  g_test_add_func("/pairing/others-come-and-go", test_others_come_and_go);
#endif
  return g_test_run();
}
