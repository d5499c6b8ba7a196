/* SPDX-License-Identifier: MIT */
/* Promise 13: "not now", and the mutexes that work that way. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"

static int refusals;
static char trace[512];

static void note(const char *what) {
  strcat(trace, what);
}
static int try_prepare(void *data) {
  note(data);
  if (refusals == 0) return 0;
  refusals--;
  note("!");
  return 1;
}
static void prepare(void *data) {
  note(data);
}
static void parent(void *data) {
  note((char *)data + 2);
}

/* Each has "X\0x" as data: prepared as X, parent as x. */
static void add(const char *data, int priority, bool tries) {
  struct atfork_hook hook = {.priority = priority, .parent = parent, .data = (void *)(uintptr_t)data};
  if (tries)
    hook.try_prepare = try_prepare;
  else
    hook.prepare = prepare;
  g_assert_cmpuint(atfork_register(&hook), !=, 0);
}

static void test_what_was_prepared_is_taken_back(void) {
  add("A\0a", 1, false);
  add("B\0b", 1, false);
  add("C\0c", 0, true);
  add("D\0d", -1, false);
  refusals = 3;
  trace[0] = '\0';
  in_child(fork, child_passes);
  /* The one that refuses has nothing to take back. */
  g_assert_cmpstr(trace, ==, "BAC!abBAC!abBAC!abBACDdcab");
  unregister_all();
}

/* Every prepare has its parent before the next one, however often it is refused. */
static int prepared, taken_back;

static void count_prepare(void *unused) {
  (void)unused;
  g_assert_cmpint(prepared, ==, taken_back);
  prepared++;
}
static void count_parent(void *unused) {
  (void)unused;
  taken_back++;
}
static int refuse(void *left) {
  return *(int *)left > 0 ? (*(int *)left)-- : 0;
}

static void test_refuses_many_times(void) {
  for (int times = 0; times <= 40; times += 8) {
    int left = times;
    prepared = taken_back = 0;
    atfork_register(&(struct atfork_hook){.try_prepare = refuse, .data = &left});
    atfork_register(&(struct atfork_hook){.priority = 1, .prepare = count_prepare, .parent = count_parent});
    in_child(fork, child_passes);
    g_assert_cmpint(left, ==, 0);
    g_assert_cmpint(prepared, ==, times + 1);
    g_assert_cmpint(taken_back, ==, times + 1);
    unregister_all();
  }
}

static void add_another(void *unused) {
  (void)unused;
  add("N\0n", 5, false);
}

/* The same hooks each time, though one comes in between. */
static void test_with_the_same_hooks(void) {
  atfork_register(&(struct atfork_hook){.parent = add_another});
  add("B\0b", 0, false);
  add("C\0c", -1, true);
  refusals = 1;
  trace[0] = '\0';
  in_child(fork, child_passes);
  g_assert_cmpstr(trace, ==, "BC!bBCcb");
  unregister_all();
}

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
/* As dlclose() calls it of an object; musl never unloads one. */
void __cxa_finalize(void *object);

static void finalize(void *object) {
  __cxa_finalize(object);
}

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
  if (++finalized == 2) __cxa_finalize(object);
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

/* ---- A hook that is registered in a fork, which begins to prepare anew, has no part in it ---- */

static int destroyed;

static void count_destroy(void *unused) {
  (void)unused;
  destroyed++;
}

static atfork_id registered_inside;

static int refuse_and_register(void *refused) {
  if ((*(int *)refused)++ > 0) return 0;
  registered_inside = atfork_register(&(struct atfork_hook){.parent = nothing, .destroy = count_destroy});
  return 1;
}

static void unregister_inside(void *refused) {
  if (*(int *)refused == 0) return;
  child_check_int(atfork_unregister(registered_inside), ==, 0);
  child_check_int(destroyed, ==, 1);
}

/* So it ends at once. */
static void test_registered_before_not_now(void) {
  int refused = 0;
  destroyed = 0;
  atfork_register(&(struct atfork_hook){.try_prepare = refuse_and_register, .data = &refused});
  atfork_register(&(struct atfork_hook){.priority = 1, .prepare = unregister_inside, .data = &refused});
  in_child(fork, child_passes);
  g_assert_cmpint(destroyed, ==, 1);
  unregister_all();
}

static void *unregister_there(void *unused) {
  child_check_int(atfork_unregister(registered_inside), ==, 0);
  return unused;
}

static void have_it_unregistered(void *refused) {
  pthread_t thread;
  if (*(int *)refused == 0) return;
  child_check_int(pthread_create(&thread, NULL, unregister_there, NULL), ==, 0);
  child_check_int(pthread_join(thread, NULL), ==, 0);
}

static void registered_and_unregistered_there(void) {
  int refused = 0;
  atfork_register(&(struct atfork_hook){.try_prepare = refuse_and_register, .data = &refused});
  atfork_register(&(struct atfork_hook){.priority = 1, .prepare = have_it_unregistered, .data = &refused});
  in_child(fork, child_passes);
}

/* So another thread does not wait for that fork, which waits for it. */
static void test_registered_before_not_now_and_another_thread(void) {
  in_child(fork, registered_and_unregistered_there);
}

/* ---- It ends with the walks that it takes part in, which one that it is registered in is not ---- */

static int unregister_in_a_visit(const struct atfork_info *info, void *unused) {
  (void)unused;
  if (info->id == registered_inside) g_assert_cmpint(atfork_unregister(registered_inside), ==, 0);
  return 0;
}

static void register_and_visit(void *unused) {
  (void)unused;
  destroyed = 0;
  registered_inside = atfork_register(&(struct atfork_hook){.parent = nothing, .destroy = count_destroy});
  atfork_foreach(unregister_in_a_visit, NULL);
  g_assert_cmpint(destroyed, ==, 1);
}

static void test_destroyed_with_the_inner_walk(void) {
  atfork_register(&(struct atfork_hook){.prepare = register_and_visit});
  in_child(fork, child_passes);
  unregister_all();
}

/* ---- Mutexes ---- */

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
static int guarded_by_first;
static bool stop;

static void both_are_free(void) {
  child_check_int(guarded_by_first % 2, ==, 0);
  child_check_int(pthread_mutex_trylock(&first), ==, 0);
  child_check_int(pthread_mutex_trylock(&second), ==, 0);
}

/* Against the order in which forks take them. */
static void *lock_in_the_other_order(void *unused) {
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    pthread_mutex_lock(&first);
    guarded_by_first++;
    pthread_mutex_lock(&second);
    guarded_by_first++;
    pthread_mutex_unlock(&second);
    pthread_mutex_unlock(&first);
  }
  return unused;
}

static void test_mutexes_in_another_order(void) {
  pthread_t threads[2];
  stop = false;
  /* Forks take the second first. */
  g_assert_cmpuint(atfork_register_mutex(&first, 0), !=, 0);
  g_assert_cmpuint(atfork_register_mutex(&second, 0), !=, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_create(&threads[i], NULL, lock_in_the_other_order, NULL);
  for (int i = rounds(10000); i > 0; i--) in_child(fork, both_are_free);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) pthread_join(threads[i], NULL);
  unregister_all();
  g_assert_cmpint(pthread_mutex_trylock(&first), ==, 0);
  pthread_mutex_unlock(&first);
}

static void test_mutex_arguments(void) {
  errno = 0;
  g_assert_cmpuint(atfork_register_mutex(NULL, 0), ==, 0);
  g_assert_cmpint(errno, ==, EINVAL);
  errno = 0;
  g_assert_cmpuint(atfork_register_mutex(&first, 40000), ==, 0);
  g_assert_cmpint(errno, ==, EINVAL);
}

static pthread_mutex_t typed;

static void typed_is_usable(void) {
  child_check_int(pthread_mutex_lock(&typed), ==, 0);
  child_check_int(pthread_mutex_unlock(&typed), ==, 0);
  child_check_int(pthread_mutex_unlock(&typed), ==, EPERM);
}

static void check_type(int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  pthread_mutex_init(&typed, &attributes);
  atfork_id id = atfork_register_mutex(&typed, 0);
  in_child(fork, typed_is_usable);
  in_child(fork, typed_is_usable);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  g_assert_cmpint(pthread_mutex_destroy(&typed), ==, 0);
}

/* The C library does not take the child's thread for the owner of these. */
static void test_recursive_mutex(void) {
  check_type(PTHREAD_MUTEX_RECURSIVE);
}

static void test_error_checking_mutex(void) {
  check_type(PTHREAD_MUTEX_ERRORCHECK);
}

static void first_is_free(void) {
  child_check_int(pthread_mutex_trylock(&first), ==, 0);
}

static int forks_left;

/* The outer fork holds it as before, where it is not at its end. */
static void fork_inside(void *held) {
  if (forks_left-- > 0) in_child(fork, first_is_free);
  if (held != NULL) child_check_int(pthread_mutex_trylock(&first), ==, EBUSY);
}

/* A fork inside a callback of one that holds the mutex already. */
static void test_mutex_in_nested_forks(void) {
  atfork_register_mutex(&first, 1);
  atfork_id id =
      atfork_register(&(struct atfork_hook){.prepare = fork_inside, .parent = fork_inside, .child = fork_inside});
  forks_left = 5;
  in_child(fork, first_is_free);
  g_assert_cmpint(atfork_unregister(id), ==, 0);
  atfork_register(&(struct atfork_hook){.prepare = fork_inside, .data = &first});
  forks_left = 2;
  in_child(fork, first_is_free);
  g_assert_cmpint(pthread_mutex_trylock(&first), ==, 0);
  pthread_mutex_unlock(&first);
  unregister_all();
}

/* ---- A mutex that is registered twice ---- */

static void first_is_held(void *unused) {
  (void)unused;
  child_check_int(pthread_mutex_trylock(&first), ==, EBUSY);
}

static void expect_first_free(void) {
  g_assert_cmpint(pthread_mutex_trylock(&first), ==, 0);
  pthread_mutex_unlock(&first);
}

/* Held from the first of its hooks to the last; and forks inside count their own. */
static void test_registered_twice(void) {
  static const struct atfork_hook watchers[] = {
      {.priority = -1, .prepare = first_is_held}, {.priority = -1, .parent = first_is_held}, {.parent = first_is_held}};
  for (size_t i = 0; i < G_N_ELEMENTS(watchers); i++) atfork_register(&watchers[i]);
  g_assert_cmpuint(atfork_register_mutex(&second, 0), !=, 0); /* another, which it is not taken for */
  g_assert_cmpuint(atfork_register_mutex(&first, 0), !=, 0);
  g_assert_cmpuint(atfork_register_mutex(&first, 1), !=, 0);
  atfork_register(&(struct atfork_hook){.prepare = fork_inside});
  for (int forks = 0; forks < 3; forks++) {
    forks_left = forks;
    in_child(fork, both_are_free);
    expect_first_free();
  }
  unregister_all();
}

static void unregister_it(void *id) {
  atfork_unregister(*(atfork_id *)id);
}

/* In a fork inside, one of them has no part any more. */
static void test_one_of_two_unregistered_inside(void) {
  for (int which = 0; which < 2; which++) {
    atfork_id ids[2] = {atfork_register_mutex(&first, 1), atfork_register_mutex(&first, 2)};
    atfork_register(&(struct atfork_hook){.prepare = fork_inside});
    atfork_register(&(struct atfork_hook){.prepare = unregister_it, .data = &ids[which]});
    forks_left = 1;
    in_child(fork, first_is_free);
    expect_first_free();
    unregister_all();
  }
}

#ifdef __GLIBC__
/* The object of the hook that has locked the mutex is unloaded in the middle, so that nobody unlocks it; the other hook
 * knows nothing of that. */
static void test_one_of_two_unloaded_inside(void) {
  static char object;
  pthread_mutex_init(&typed, NULL);
  g_assert_cmpuint(atfork_register_mutex(&typed, 1), !=, 0);
  g_assert_cmpuint(atfork_register_mutex_for(&typed, 2, &object), !=, 0);
  atfork_register(&(struct atfork_hook){.prepare = finalize, .data = &object});
  in_child(fork, child_passes);
  g_assert_cmpint(pthread_mutex_trylock(&typed), ==, EBUSY);
  unregister_all();
}
#endif

static pid_t inside;

static void fork_and_return(void *unused) {
  (void)unused;
  if (forks_left-- > 0) inside = fork();
}

/*
 * A fork inside a callback, whose child comes back and goes on with the outer one: there the mutex was let go already,
 * and no part of that fork unlocks it once more.
 */
static void check_nested_returning(const struct atfork_hook *forker) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&typed, &attributes);
  g_assert_cmpuint((atfork_register_mutex)(&typed, 1), !=, 0);
  g_assert_cmpuint(atfork_register(forker), !=, 0);
  forks_left = 1;
  inside = 1;
  in_child(fork, typed_is_usable);
  if (inside == 0) typed_is_usable();
  if (inside == 0) child_passes();
  expect_passed(inside);
  g_assert_cmpint(pthread_mutex_lock(&typed), ==, 0);
  g_assert_cmpint(pthread_mutex_unlock(&typed), ==, 0);
  unregister_all();
}

static void test_mutex_in_nested_forks_that_return(void) {
  check_nested_returning(&(struct atfork_hook){.prepare = fork_and_return});
}

/* ---- Who holds the mutex takes the hook back, or ends the process, while another thread's fork waits for it ---- */

static struct gate is_refused;
static int attempts;

/* What was prepared before it is taken back: it waits now, or is about to. */
static void note_refusal(void *unused) {
  (void)unused;
  if (++attempts == 1) gate_open(&is_refused);
}

static void *fork_there(void *unused) {
  in_child(fork, child_passes);
  return unused;
}

static void have_other_wait(pthread_t *other) {
  attempts = 0;
  gate_make(&is_refused);
  child_check_int(atfork_register(&(struct atfork_hook){.priority = 1, .parent = note_refusal}), !=, 0);
  child_check_int(pthread_mutex_lock(&first), ==, 0);
  child_check_int(pthread_create(other, NULL, fork_there, NULL), ==, 0);
  gate_wait(&is_refused);
}

static void unregister_with_the_mutex(void) {
  pthread_t other;
  atfork_id id = atfork_register_mutex(&first, 0);
  have_other_wait(&other);
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(pthread_join(other, NULL), ==, 0);
  child_check_int(pthread_mutex_unlock(&first), ==, 0);
}

/* After the hooks are gone, and before the C library takes our handlers away, which a fork under way must not see. */
static pthread_t waiting;

static void join_waiting(void) {
  if (waiting != 0) pthread_join(waiting, NULL);
}

static void exit_with_the_mutex(void) {
  child_check_int(atfork_register_mutex(&first, 0), !=, 0);
  have_other_wait(&waiting);
  exit(CHILD_PASSED);
}

static void test_unregister_with_the_mutex(void) {
  in_child(fork, unregister_with_the_mutex);
}

static void test_exit_with_the_mutex(void) {
  in_child(fork, exit_with_the_mutex);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  if (atexit(join_waiting) != 0) return 1; /* before any hook, so it is run after they are gone */
  g_test_add_func("/not-now/what-was-prepared-is-taken-back", test_what_was_prepared_is_taken_back);
  g_test_add_func("/not-now/refuses-many-times", test_refuses_many_times);
  g_test_add_func("/not-now/with-the-same-hooks", test_with_the_same_hooks);
  g_test_add_func("/not-now/what-was-waited-for-is-kept", test_what_was_waited_for_is_kept);
  g_test_add_func("/not-now/one-at-a-time-is-kept", test_one_at_a_time_is_kept);
  g_test_add_func("/not-now/wait-is-the-hook-s-own", test_wait_is_the_hook_s_own);
  g_test_add_func("/not-now/others-unregistered-while-waiting", test_others_unregistered_while_waiting);
  g_test_add_func("/not-now/unregistered-while-waiting", test_unregistered_while_waiting);
#ifdef __GLIBC__
  g_test_add_func("/not-now/unloaded-before-the-wait", test_unloaded_before_the_wait);
  g_test_add_func("/not-now/unloaded-while-kept", test_unloaded_while_kept);
#endif
  g_test_add_func("/not-now/registered-before-not-now", test_registered_before_not_now);
  g_test_add_func("/not-now/registered-before-not-now-and-another-thread",
                  test_registered_before_not_now_and_another_thread);
  g_test_add_func("/not-now/destroyed-with-the-inner-walk", test_destroyed_with_the_inner_walk);
  g_test_add_func("/not-now/mutexes-in-another-order", test_mutexes_in_another_order);
  g_test_add_func("/not-now/mutex-arguments", test_mutex_arguments);
  g_test_add_func("/not-now/recursive-mutex", test_recursive_mutex);
  g_test_add_func("/not-now/error-checking-mutex", test_error_checking_mutex);
  g_test_add_func("/not-now/mutex-in-nested-forks", test_mutex_in_nested_forks);
  g_test_add_func("/not-now/registered-twice", test_registered_twice);
  g_test_add_func("/not-now/one-of-two-unregistered-inside", test_one_of_two_unregistered_inside);
#ifdef __GLIBC__
  g_test_add_func("/not-now/one-of-two-unloaded-inside", test_one_of_two_unloaded_inside);
#endif
  g_test_add_func("/not-now/mutex-in-nested-forks-that-return", test_mutex_in_nested_forks_that_return);
  g_test_add_func("/not-now/unregister-with-the-mutex", test_unregister_with_the_mutex);
#ifndef __SANITIZE_THREAD__ /* it takes mutexes in children for wrong, and has exit() say so */
  g_test_add_func("/not-now/exit-with-the-mutex", test_exit_with_the_mutex);
#else
  (void)test_exit_with_the_mutex;
#endif
  return g_test_run();
}
