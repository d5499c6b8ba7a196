/* SPDX-License-Identifier: MIT */
/*
 * Promise 13: a fork waits by the `wait` of the hook that said "not now", while it holds nothing else; after that it
 * keeps what this hook holds.
 */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"
#include "notes.h"

/* ---- Hooks that wait ---- */

/* As `data` of add(), and what it says when it is asked: '!' for "not now". */
struct waiter {
  const char *data, *answers;
};

static int try_waiter(void *data) {
  struct waiter *waiter = data;
  bool refuses = waiter->answers[0] == '!';
  if (waiter->answers[0] != '\0') waiter->answers++;
  note(waiter->data);
  if (refuses) note("!");
  return refuses;
}
static void wait_waiter(void *data) {
  note("(");
  note(((struct waiter *)data)->data);
  note(")");
}
static void parent_waiter(void *data) {
  note(((struct waiter *)data)->data + 2);
}

static atfork_id add_waiter(struct waiter *waiter, int priority) {
  atfork_id id = atfork_register(&(struct atfork_hook){.priority = priority,
                                                       .try_prepare = try_waiter,
                                                       .wait = wait_waiter,
                                                       .parent = parent_waiter,
                                                       .child = parent_waiter,
                                                       .data = waiter});
  g_assert_cmpuint(id, !=, 0);
  return id;
}

static void child_let_go(void) {
  child_check(g_str_has_suffix(trace, "ABcb"));
}

/* With nothing else prepared; and what was waited for is not asked again, and is let go once. */
static void test_what_was_waited_for_is_kept(void) {
  struct waiter b = {"B\0b", ""}, c = {"C\0c", "!"};
  add("A\0a", 1, false);
  add_waiter(&b, 0);
  add_waiter(&c, -1);
  trace[0] = '\0';
  in_child(fork, child_let_go);
  g_assert_cmpstr(trace, ==, "ABC!ba(C)ABcba");
  trace[0] = '\0';
  in_child(fork, child_passes);
  g_assert_cmpstr(trace, ==, "ABCcba");
  unregister_all();
}

/* One at a time: it is let go when another refuses, in run order, on whichever side of that it is. */
static void test_one_at_a_time_is_kept(void) {
  struct waiter b = {"B\0b", "!"}, c = {"C\0c", "!"};
  add("A\0a", 1, false);
  add_waiter(&b, 0);
  add_waiter(&c, -1);
  trace[0] = '\0';
  in_child(fork, child_passes);
  g_assert_cmpstr(trace, ==, "AB!a(B)AC!ba(C)ABcba");
  trace[0] = '\0';
  b.answers = ".!";
  c.answers = "!";
  in_child(fork, child_passes);
  g_assert_cmpstr(trace, ==, "ABC!ba(C)AB!ca(B)ACcba");
  unregister_all();
}

/* Hooks that differ in nothing else. */
static void test_wait_is_the_hook_s_own(void) {
  struct waiter b = {"B\0b", "!"}, c = {"C\0c", "!"};
  add_waiter(&b, 0);
  atfork_register(
      &(struct atfork_hook){.try_prepare = try_waiter, .parent = parent_waiter, .child = parent_waiter, .data = &c});
  trace[0] = '\0';
  in_child(fork, child_passes);
  g_assert_cmpstr(trace, ==, "C!CB!c(B)Cbc");
  unregister_all();
}

/* What happens while a fork waits by a hook. */
static struct waiter waiter;
static void (*while_waiting)(void);

static void wait_while(void *data) {
  wait_waiter(data);
  while_waiting();
}

static atfork_id waits, unrelated;

static void *unregister_unrelated(void *unused) {
  child_check_int(atfork_unregister(unrelated), ==, 0);
  note("u");
  return unused;
}

/* As a thread would that has what is waited for, and lets go of it afterwards. */
static void wait_for_unregister(void) {
  pthread_t thread;
  child_check_int(pthread_create(&thread, NULL, unregister_unrelated, NULL), ==, 0);
  child_check_int(pthread_join(thread, NULL), ==, 0);
}

/* By the thread that takes it back, which must not write into the trace at the same time. */
static bool waiter_destroyed;

static void destroy_waiter(void *unused) {
  (void)unused;
  waiter_destroyed = true;
}

static pthread_t unregisters;

static void *unregister_waits(void *unused) {
  child_check_int(atfork_unregister(waits), ==, 0);
  child_check(waiter_destroyed);
  return unused;
}

static int stop_at_waits(const struct atfork_info *info, void *unused) {
  (void)unused;
  return info->id == waits;
}

/* Until it is retired; the thread that does it waits for this fork. */
static void have_it_retired(void) {
  child_check_int(pthread_create(&unregisters, NULL, unregister_waits, NULL), ==, 0);
  while (atfork_foreach(stop_at_waits, NULL) != 0) sched_yield();
}

static void add_while(void (*then)(void)) {
  while_waiting = then;
  waiter = (struct waiter){"W\0w", "!"};
  waits = atfork_register(&(struct atfork_hook){.try_prepare = try_waiter,
                                                .wait = wait_while,
                                                .parent = parent_waiter,
                                                .child = parent_waiter,
                                                .destroy = destroy_waiter,
                                                .data = &waiter});
  trace[0] = '\0';
}

/* All hooks but that one may be taken back meanwhile, and have no part in the fork any more. */
static void others_unregistered(void) {
  add_while(wait_for_unregister);
  static char data[] = "O\0o";
  unrelated = atfork_register(&(struct atfork_hook){.priority = 1, .prepare = prepare, .parent = parent, .data = data});
  in_child(fork, child_passes);
  child_check(strcmp(trace, "OW!o(W)uw") == 0);
}

static void test_others_unregistered_while_waiting(void) {
  in_child(fork, others_unregistered);
}

/* Also when the fork has waited for another hook before. */
static void others_unregistered_later(void) {
  add_while(wait_for_unregister);
  static struct waiter earlier = {"B\0b", "!"};
  add_waiter(&earlier, 1);
  static char data[] = "O\0o";
  unrelated = atfork_register(&(struct atfork_hook){.priority = 2, .prepare = prepare, .parent = parent, .data = data});
  in_child(fork, child_passes);
  child_check(strcmp(trace, "OB!o(B)OW!bo(W)uBwb") == 0);
}

static void test_others_unregistered_while_waiting_again(void) {
  in_child(fork, others_unregistered_later);
}

/* Of that one the fork lets go what it has waited for, and goes on without it. */
static void itself_unregistered(void) {
  add_while(have_it_retired);
  add("A\0a", 1, false);
  trace[0] = '\0';
  in_child(fork, child_passes);
  child_check_int(pthread_join(unregisters, NULL), ==, 0);
  child_check(strcmp(trace, "AW!a(W)wAa") == 0);
}

static void test_unregistered_while_waiting(void) {
  in_child(fork, itself_unregistered);
}

#ifdef __GLIBC__
/* By a `parent` of what is taken back: it is not waited for. */
static void test_unloaded_before_the_wait(void) {
  static char object;
  waiter = (struct waiter){"W\0w", "!"};
  (atfork_register_for)(
      &(struct atfork_hook){.try_prepare = try_waiter, .wait = wait_waiter, .parent = parent_waiter, .data = &waiter},
      &object);
  atfork_register(&(struct atfork_hook){.priority = 1, .parent = finalize, .data = &object});
  trace[0] = '\0';
  in_child(fork, child_passes);
  g_assert_cmpstr(trace, ==, "W!");
  unregister_all();
}

static int finalized;

static void finalize_second(void *object) {
  if (++finalized == 2) finalize(object);
}

/* While it is kept, by a callback; another hook refuses then. */
static void test_unloaded_while_kept(void) {
  static char object;
  struct waiter b = {"B\0b", ".!"};
  waiter = (struct waiter){"W\0w", "!"};
  (atfork_register_for)(
      &(struct atfork_hook){
          .priority = -1, .try_prepare = try_waiter, .wait = wait_waiter, .parent = parent_waiter, .data = &waiter},
      &object);
  add_waiter(&b, 0);
  /* In the second attempt. */
  atfork_register(&(struct atfork_hook){.priority = 1, .prepare = finalize_second, .data = &object});
  trace[0] = '\0';
  in_child(fork, child_passes);
  g_assert_cmpstr(trace, ==, "BW!b(W)B!(B)b");
  unregister_all();
}

#endif

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/not-now-wait/what-was-waited-for-is-kept", test_what_was_waited_for_is_kept);
  g_test_add_func("/not-now-wait/one-at-a-time-is-kept", test_one_at_a_time_is_kept);
  g_test_add_func("/not-now-wait/wait-is-the-hook-s-own", test_wait_is_the_hook_s_own);
  g_test_add_func("/not-now-wait/others-unregistered-while-waiting", test_others_unregistered_while_waiting);
  g_test_add_func("/not-now-wait/others-unregistered-while-waiting-again",
                  test_others_unregistered_while_waiting_again);
  g_test_add_func("/not-now-wait/unregistered-while-waiting", test_unregistered_while_waiting);
#ifdef __GLIBC__
  g_test_add_func("/not-now-wait/unloaded-before-the-wait", test_unloaded_before_the_wait);
  g_test_add_func("/not-now-wait/unloaded-while-kept", test_unloaded_while_kept);
#endif
  return g_test_run();
}
