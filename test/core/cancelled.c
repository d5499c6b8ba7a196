/* SPDX-License-Identifier: MIT */
/* A thread that is to be cancelled is not cancelled inside the library, where it would leave an update or a wait half
 * done, but at the next cancellation point of its own. */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os.h"

#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif
#ifndef SYS_futex_time64
#define SYS_futex_time64 SYS_futex
#endif

/* A sandbox forbids to wait, so that a nap stands for it. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  enum { ARGUMENTS = 6 };
  long all[ARGUMENTS];
  va_list arguments;
  va_start(arguments, number);
  for (size_t i = 0; i < ARGUMENTS; i++) all[i] = va_arg(arguments, long);
  va_end(arguments);
  if (number != SYS_futex && number != SYS_futex_time64)
    return __real_syscall(number, all[0], all[1], all[2], all[3], all[4], all[5]);
  errno = EPERM;
  return -1;
}

static void wait_for_event(void) {
  _Atomic uint32_t word = 1;
  atfork_os_wait(&word, 1);
}

static void back_off(void) {
  enum { LONG_AGO = 20 };
  atfork_os_back_off(LONG_AGO);
}

/* Reads /proc. */
static void look_for_parent(void) {
  g_assert_true(atfork_os_may_be_child_of((uint64_t)getpid()));
}
static void look_at_parent(void) {
  atfork_os_is_forked_by_alike();
}

static void say_nothing(void) {
  atfork_os_say("", 0);
}

static const struct test_case {
  const char *path;
  void (*call)(void);
} cases[] = {
    {"/cancelled/in-a-wait", wait_for_event},        {"/cancelled/in-a-wait-for-another-turn", back_off},
    {"/cancelled/in-a-first-look", look_for_parent}, {"/cancelled/in-the-load", look_at_parent},
    {"/cancelled/in-a-warning", say_nothing},
};

static bool has_returned;

static void *be_cancelled(void *of) {
  const struct test_case *test = of;
  pthread_cancel(pthread_self());
  test->call();
  has_returned = true;
  pthread_testcancel();
  return NULL;
}

static void test_case(gconstpointer of) {
  pthread_t thread;
  void *result;
  has_returned = false;
  g_assert_cmpint(pthread_create(&thread, NULL, be_cancelled, (void *)(uintptr_t)of), ==, 0);
  g_assert_cmpint(pthread_join(thread, &result), ==, 0);
  g_assert_true(has_returned);
  g_assert_true(result == PTHREAD_CANCELED);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) g_test_add_data_func(cases[i].path, &cases[i], test_case);
  return g_test_run();
}
