/* SPDX-License-Identifier: MIT */
/*
 * Promise 10, fault injection: hooks are registered, unregistered and listed while the system refuses what the library
 * asks for.
 */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "forks.h"
#include "state.h" /* the library's own */
#include "torture.h"

/* ---- Registering ---- */

static atfork_id id;

static void nothing(void *unused) {
  (void)unused;
}
static int never_refuse(void *unused) {
  (void)unused;
  return 0;
}

static void unregister(void) {
  child_check_int(atfork_unregister(id), ==, 0);
}

static bool call_register(void) {
  return (id = atfork_register(&(struct atfork_hook){.name = "a name", .child = nothing})) != 0;
}
static bool call_register_after_fork(void) {
  return (id = atfork_register_after_fork(nothing, NULL)) != 0;
}
static bool call_register_with_wait(void) {
  struct atfork_hook hook = {.try_prepare = never_refuse, .wait = nothing, .parent = nothing, .destroy = nothing};
  return (id = atfork_register(&hook)) != 0;
}
static bool call_register_elsewhere(void) {
  static int priority = 1000;
  priority = priority < 30000 ? priority + 256 : 1000;
  return (id = atfork_register(&(struct atfork_hook){.priority = priority, .child = nothing})) != 0;
}

/* Each name is another one, and fills what is left of the memory at hand. */
static bool call_register_with_long_name(void) {
  static char name[5000];
  static int calls;
  memset(name, 'x', sizeof name - 1);
  name[calls++] = 'y';
  return (id = atfork_register(&(struct atfork_hook){.name = name, .child = nothing})) != 0;
}

/* Whose hooks are not known yet; for the list of such objects to grow, many are. */
static char objects[300];
static bool call_register_for_object(void) {
  return (id = atfork_register_for(&(struct atfork_hook){.child = nothing}, &objects[0])) != 0;
}
static void have_hooks_of_many_objects(void) {
  torture_add_hooks();
  for (int i = 1; i <= 255; i++)
    child_check_int(atfork_register_for(&(struct atfork_hook){.parent = nothing}, &objects[i]), !=, 0);
  torture_hooks += 255;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool call_register_mutex(void) {
  return (id = atfork_register_mutex(&mutex, 0)) != 0;
}

/* At a priority that is far from the others, of which some have taken up `filling` bytes more: of the pieces of memory
 * that the hook needs, each is once the first for which there is no room. */
static char name_of_others[16384];
static size_t filling;
static void fill(void) {
  torture_add_hooks();
  memset(name_of_others, 'x', filling);
  child_check_int(atfork_register(&(struct atfork_hook){.name = name_of_others, .child = nothing}), !=, 0);
  torture_hooks++;
}

static void torture_far_away(void) {
  static const struct scenario scenario = {"far-away", fill, call_register_elsewhere, unregister, 1, true, 0};
  int told = 0;
  for (filling = 0; filling < sizeof name_of_others; filling += 512) told += torture(&scenario);
  g_assert_cmpint(told, >=, 4);
}

/* ---- A table of many pages ---- */

/* Each time that it is to grow there is no memory for it first. */
static void grow(void) {
  int refused = 0;
  torture_add_hooks();
  for (; torture_hooks < 50000; torture_hooks++) {
    fault_arm(1, AND_ALL_LATER);
    bool done = call_register();
    int error = errno;
    fault_disarm();
    if (done) continue;
    child_check_int(error, ==, ENOMEM);
    child_check(call_register());
    refused++;
  }
  child_check_int(refused, >, 6);
  torture_expect_unharmed();
}

static void torture_growth(void) {
  in_child(fork, grow);
  fault_maps_aligned = true;
  in_child(fork, grow);
  fault_maps_aligned = false;
}

/* ---- At exit ---- */

/* With an object that is noted, but has no hook, as there was no memory for one. */
static void exit_without_hooks(void) {
#ifdef __GLIBC__
  enum { FOR_TABLE = 4 };
#else
  enum { FOR_TABLE = 3 }; /* the fork handlers have had theirs at the load */
#endif
  long handlers = fault_held().handlers;
  fault_arm(FOR_TABLE, 1);
  child_check(!call_register_after_fork());
  child_check_int(fault_disarm(), ==, FOR_TABLE);
  child_check_int(fault_held().handlers, >, handlers);
  exit(CHILD_PASSED);
}

static void torture_exit(void) {
  in_child(fork, exit_without_hooks);
}

/* ---- Unregistering ---- */

/* So many are dead that the next one renews the table; a copy needs memory for their names, if those differ. */
enum { MANY = 200 };
static atfork_id many[MANY];
static bool names_differ;
static int destroyed;

static void destroy(void *unused) {
  (void)unused;
  destroyed++;
}

static void add_many(void) {
  static char name[1000];
  memset(name, 'x', sizeof name - 1);
  for (int i = 0; i < MANY; i++) {
    if (names_differ) name[i] = 'y';
    many[i] = atfork_register(
        &(struct atfork_hook){.name = name, .priority = i % 3 * 300, .child = nothing, .destroy = destroy});
    child_check_int(many[i], !=, 0);
  }
}
static void have_waste(void) {
  names_differ = false;
  torture_add_hooks();
  add_many();
  torture_hooks += MANY;
}
static void have_waste_with_names(void) {
  names_differ = true;
  torture_add_hooks();
  add_many();
  torture_hooks += MANY;
}

static bool call_unregister_most(void) {
  for (int i = 0; i < MANY - 20; i++) child_check_int(atfork_unregister(many[i]), ==, 0);
  child_check_int(destroyed, ==, MANY - 20);
  return true;
}

/* While another thread shows it: the visit ends when this thread is about to sleep. */
static struct gate visiting, to_end;
static pthread_t visitor;

static int stay(const struct atfork_info *info, void *unused) {
  (void)unused;
  if (info->id != id) return 0;
  gate_open(&visiting);
  gate_wait(&to_end);
  return 0;
}
static void *visit(void *unused) {
  atfork_foreach(stay, NULL);
  return unused;
}
static void end_visit(void) {
  gate_open(&to_end);
}

static void have_a_visitor(void) {
  torture_add_hooks();
  id = atfork_register(&(struct atfork_hook){.child = nothing, .destroy = destroy});
  torture_hooks++;
  gate_make(&visiting);
  gate_make(&to_end);
  child_check_int(pthread_create(&visitor, NULL, visit, NULL), ==, 0);
  gate_wait(&visiting);
  fault_at_sleep = end_visit;
}

/* What cannot sleep on a futex sleeps otherwise, and does not keep a processor busy. */
static bool call_unregister_and_wait(void) {
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(destroyed, ==, 1);
  if (fault_has_refused("sleep")) child_check_int(fault_pauses, >, 0);
  pthread_join(visitor, NULL);
  return true;
}

/* ---- Showing ---- */

static int visits;
static int visit_deeper(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  return ++visits <= FRAMES_PER_BLOCK ? atfork_foreach(visit_deeper, NULL) : 7;
}

/* One more inside the other than there are frames at hand. */
static bool call_foreach_deeply(void) {
  visits = 0;
  child_check_int(atfork_foreach(visit_deeper, NULL), ==, 7);
  child_check_int(visits, ==, FRAMES_PER_BLOCK + 1);
  return true;
}

static const struct scenario scenarios[] = {
    {"/torture/hooks/first", NULL, call_register, unregister, 1, true, 2},
    {"/torture/hooks/register", torture_add_hooks, call_register, unregister, 1, true, 1},
    {"/torture/hooks/register-after-fork", torture_add_hooks, call_register_after_fork, unregister, 1, true, 1},
    {"/torture/hooks/register-with-wait", torture_add_hooks, call_register_with_wait, unregister, 1, true, 1},
    {"/torture/hooks/register-with-long-name", torture_add_hooks, call_register_with_long_name, unregister, 1, true, 2},
    {"/torture/hooks/register-for-object", torture_add_hooks, call_register_for_object, unregister, 1, true, 2},
    {"/torture/hooks/register-for-many-objects", have_hooks_of_many_objects, call_register_for_object, unregister, 1,
     true, 2},
    {"/torture/hooks/register-mutex", torture_add_hooks, call_register_mutex, unregister, 1, true, 4},
    {"/torture/hooks/unregister", have_waste, call_unregister_most, NULL, 20 - MANY, false, 1},
    {"/torture/hooks/unregister-with-names", have_waste_with_names, call_unregister_most, NULL, 20 - MANY, false, 3},
    {"/torture/hooks/unregister-and-wait", have_a_visitor, call_unregister_and_wait, NULL, -1, false, 2},
    {"/torture/hooks/foreach-deeply", torture_add_hooks, call_foreach_deeply, NULL, 0, false, 1},
};

static void run(gconstpointer scenario) {
  torture(scenario);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(scenarios); i++) g_test_add_data_func(scenarios[i].name, &scenarios[i], run);
  g_test_add_func("/torture/hooks/register-far-away", torture_far_away);
  g_test_add_func("/torture/hooks/growth", torture_growth);
  g_test_add_func("/torture/hooks/exit", torture_exit);
  return g_test_run();
}
