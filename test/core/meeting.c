/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "table.h" /* the library's own, as is what follows */
#include "thread.h"

#include "meeting.h" /* whose `id` those would shadow */

#include "callbacks.h"

/* ---- Threads that wait ---- */

/* As in <linux/futex.h>. */
enum { WAIT = 128, WAKE = 129 };

void (*while_sleeping)(void);
int sleeps, wakes;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) arguments[i] = va_arg(list, long);
  va_end(list);
  void (*once)(void) = while_sleeping;
  if (number == SYS_futex && arguments[1] == WAKE) __atomic_add_fetch(&wakes, 1, __ATOMIC_SEQ_CST);
  if (number == SYS_futex && arguments[1] == WAIT) __atomic_add_fetch(&sleeps, 1, __ATOMIC_SEQ_CST);
  if (number == SYS_futex && once != NULL && arguments[1] == WAIT) {
    while_sleeping = NULL;
    once();
  }
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

/* ---- Another thread ---- */

static pthread_t other;
struct gate entered, leave;

void start_other(void *(*run)(void *unused)) {
  child_check_int(pthread_create(&other, NULL, run, NULL), ==, 0);
}

void join_other(void) {
  child_check_int(pthread_join(other, NULL), ==, 0);
}

void let_other_leave(void) {
  gate_open(&leave);
}

void have_other_leave(void) {
  gate_open(&leave);
  join_other();
}

void tell_of_sleep(void) {
  gate_open(&entered);
}

/* ---- Hooks ---- */

atfork_id id;
int destroyed;
atfork_id second;

atfork_id add(void) {
  atfork_id added = atfork_register(&(struct atfork_hook){.parent = nothing, .data = &destroyed, .destroy = increment});
  child_check_int(added, !=, 0);
  return added;
}

void unregister(void) {
  child_check_int(atfork_unregister(id), ==, 0);
  child_check_int(destroyed, ==, 1);
}

void call_register(void) {
  second = atfork_register(&(struct atfork_hook){.parent = nothing});
}

void come_and_go(void) {
  child_check_int(atfork_unregister(atfork_register(&(struct atfork_hook){.parent = nothing})), ==, 0);
}

/* ---- Places ---- */

bool is_updating(const ucontext_t *context) {
  (void)context;
  return atfork_thread.updating;
}

bool is_planned(const ucontext_t *context) {
  return is_at(context, (void (*)(void))atfork_slot_write);
}

/* ---- Each in a process of its own ---- */

static const struct test_case *which;

static void run_case(void) {
  gate_make(&entered);
  gate_make(&leave);
  child_check_int(atfork_generation(), ==, 1);
  which->run();
}

static void test_case(gconstpointer of) {
  which = of;
  in_child(fork, run_case);
}

void add_case(const struct test_case *of) {
  g_test_add_data_func(of->path, of, test_case);
}
