/* SPDX-License-Identifier: MIT */
/*
 * Promise 9, between two threads: one comes to a certain instruction, and there waits until another has been through
 * the same.  Each is one of the exchanges that are lost to somebody else, which otherwise is a matter of luck.
 */
#include <atfork.h>
#include <glib.h>
#include <stdint.h>

#include "state.h" /* the library's own, as are those that follow */
#include "thread.h"
#include "transient.h"

#include "callbacks.h"
#include "forks.h"
#include "meeting.h"
#include "steps.h"

/* ---- The lock, which is let go between a look at its owner and the next ---- */

static void *update_and_stay(void *unused) {
  /* Holds the lock as it does in the middle of an update. */
  atfork_thread.updating = 1;
  atfork_transient->owner = (uintptr_t)&atfork_thread;
  gate_open(&entered);
  gate_wait(&leave);
  atfork_thread.updating = 0;
  atfork_transient->owner = 0;
  return unused;
}

static bool is_to_wait_for_lock(const ucontext_t *context) {
  return is_exchange(context, &atfork_transient->lock_free.word);
}

static void find_lock_free(void) {
  id = add();
  start_other(update_and_stay);
  gate_wait(&entered);
  child_check(interrupt(call_register, is_to_wait_for_lock, have_other_leave));
  child_check_int(second, !=, 0);
  unregister();
}

/* ---- A thread that waits is woken ---- */

static void *register_there(void *unused) {
  call_register();
  return unused;
}

static void have_other_register(void) {
  while_sleeping = tell_of_sleep;
  start_other(register_there);
  gate_wait(&entered);
}

static void call_add(void) {
  id = add();
}

static void wake_who_waits_for_lock(void) {
  child_check(interrupt(call_add, is_updating, have_other_register));
  join_other();
  child_check_int(second, !=, 0);
  child_check_int(sleeps, >=, 1);
  child_check_int(wakes, >=, 1);
  unregister();
}

/* ---- An init ---- */

static struct atfork_once control;
static int inits;

static void init(void *unused) {
  (void)unused;
  inits++;
}

static void init_and_stay(void *unused) {
  init(unused);
  gate_open(&entered);
  gate_wait(&leave);
}

static void *once_there(void *unused) {
  (atfork_once)(&control, init, NULL);
  return unused;
}

static void *once_and_stay(void *unused) {
  (atfork_once)(&control, init_and_stay, NULL);
  return unused;
}

static void call_atfork_once(void) {
  (atfork_once)(&control, init, NULL);
}

static void have_other_init(void) {
  start_other(once_there);
  join_other();
}

static void have_other_begin_init(void) {
  while_sleeping = let_other_leave;
  start_other(once_and_stay);
  gate_wait(&entered);
}

static bool is_to_claim_init(const ucontext_t *context) {
  return is_exchange(context, &control.state[1]);
}
static bool is_to_wait_for_init(const ucontext_t *context) {
  return is_exchange(context, &atfork_transient->init_ended.word);
}

/* All of it has been done when this thread is about to. */
static void find_init_done(void) {
  child_check(interrupt(call_atfork_once, is_to_claim_init, have_other_init));
  child_check_int(inits, ==, 1);
}

/* Another thread is in it when this one is about to. */
static void find_init_begun(void) {
  child_check(interrupt(call_atfork_once, is_to_claim_init, have_other_begin_init));
  child_check_int(inits, ==, 1);
  join_other();
  child_check_int(sleeps, >=, 1);
  child_check_int(wakes, >=, 1);
}

/* Another thread ends it when this one is about to wait. */
static void find_init_ended(void) {
  start_other(once_and_stay);
  gate_wait(&entered);
  child_check(interrupt(call_atfork_once, is_to_wait_for_init, have_other_leave));
  child_check_int(inits, ==, 1);
}

/* ---- More memory for shared objects ---- */

enum { OBJECTS = 255 }; /* that there is room for at once */
static char objects[2 * OBJECTS + 1];

static void register_for_object(void) {
  second = atfork_register_for(&(struct atfork_hook){.parent = nothing}, &objects[2 * OBJECTS]);
}

static void register_for_many_objects(void) {
  static int object;
  for (int end = object + OBJECTS; object < end; object++)
    child_check_int(atfork_register_for(&(struct atfork_hook){.parent = nothing}, &objects[object]), !=, 0);
}

static bool is_to_add_owners(const ucontext_t *context) {
  return is_exchange(context, &atfork_state.hooks.owners);
}

static struct owner *_Atomic owners_before;
static bool has_added_owners(const ucontext_t *context) {
  (void)context;
  return atfork_state.hooks.owners != owners_before;
}

/* Another has as many objects meanwhile as there is room for: before this one's memory is there, and after. */
static void add_owners_late(void) {
  child_check(interrupt(register_for_object, is_to_add_owners, register_for_many_objects));
  child_check_int(second, !=, 0);
}

static void use_up_owners(void) {
  owners_before = atfork_state.hooks.owners;
  child_check(interrupt(register_for_object, has_added_owners, register_for_many_objects));
  child_check_int(second, !=, 0);
}

static const struct test_case cases[] = {
    {"/overtaken/lock", find_lock_free},          {"/overtaken/woken-for-lock", wake_who_waits_for_lock},
    {"/overtaken/init-done", find_init_done},     {"/overtaken/init-begun", find_init_begun},
    {"/overtaken/init-ended", find_init_ended},   {"/overtaken/owners-added", add_owners_late},
    {"/overtaken/owners-used-up", use_up_owners},
};

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) add_case(&cases[i]);
  return g_test_run();
}
