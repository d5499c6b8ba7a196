/* SPDX-License-Identifier: MIT */
/* A thread that waits sleeps for as long as the library says, whatever the size of time_t: what it asks the kernel for
 * is read as the kernel reads it.  And it is woken, whichever call the kernel has for that. */
#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "os.h"

enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129, ARGUMENTS = 6, LONGEST_SLEEP = 50000000 /* ns */ };

#ifdef SYS_futex_time64
static const bool has_two_calls = true;
#else
static const bool has_two_calls = false;
#define SYS_futex_time64 SYS_futex
#endif
#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

static bool is_old, is_new; /* a kernel before 5.1; one without 32-bit times */
static int refusal;         /* what a sleep is refused with, or 0 */
static int sleeps, wakes, naps;
static int64_t seconds, nanoseconds;

static void read_time(const void *time, size_t size) {
  int32_t of_32[2];
  int64_t of_64[2];
  memcpy(size == sizeof of_32 ? (void *)of_32 : of_64, time, size);
  seconds = size == sizeof of_32 ? of_32[0] : of_64[0];
  nanoseconds = size == sizeof of_32 ? of_32[1] : of_64[1];
}

static bool is_missing(long number) {
  return has_two_calls && ((is_old && number == SYS_futex_time64) || (is_new && number == SYS_futex));
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  long all[ARGUMENTS];
  va_list arguments;
  va_start(arguments, number);
  for (size_t i = 0; i < ARGUMENTS; i++) all[i] = va_arg(arguments, long);
  va_end(arguments);
  if (is_missing(number)) {
    errno = ENOSYS;
    return -1;
  }
  if ((number == SYS_futex || number == SYS_futex_time64) && all[1] == FUTEX_WAIT_PRIVATE) {
    sleeps++;
    read_time((const void *)all[3], number == SYS_futex_time64 ? 2 * sizeof(int64_t) : 2 * sizeof(long));
  }
  if (refusal != 0) {
    errno = refusal;
    return -1;
  }
  if ((number == SYS_futex || number == SYS_futex_time64) && all[1] == FUTEX_WAKE_PRIVATE) wakes++;
  return __real_syscall(number, all[0], all[1], all[2], all[3], all[4], all[5]);
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left) {
  (void)time;
  (void)left;
  naps++;
  return 0;
}

static void expect_sleep(void) {
  _Atomic uint32_t word = 1;
  sleeps = 0;
  errno = EXDEV;
  atfork_os_wait(&word, 1);
  g_assert_cmpint(errno, ==, EXDEV);
  g_assert_cmpint(sleeps, ==, 1);
  g_assert_cmpint(seconds, ==, 0);
  g_assert_cmpint(nanoseconds, ==, LONGEST_SLEEP);
}

/* The kernel is told, whichever call it has. */
static void expect_wake(void) {
  _Atomic uint32_t word = 1;
  wakes = 0;
  errno = EXDEV;
  atfork_os_wake_all(&word);
  g_assert_cmpint(errno, ==, EXDEV);
  g_assert_cmpint(wakes, ==, 1);
}

static void expect_both(void) {
  expect_sleep();
  expect_wake();
}

static void test_as_long_as_said(void) {
  expect_both();
}

static void test_in_an_old_kernel(void) {
  is_old = true;
  expect_both();
  is_old = false;
}

static void test_in_a_new_kernel(void) {
  is_new = true;
  expect_both();
  is_new = false;
}

/* A nap stands for the sleep that a sandbox forbids; after a signal the thread looks at once whether it is to go on. */
static void test_naps(void) {
  static const struct {
    int refusal, naps;
  } cases[] = {{EPERM, 1}, {ENOSYS, 1}, {EINTR, 0}, {EAGAIN, 0}, {ETIMEDOUT, 0}};
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    _Atomic uint32_t word = 1;
    naps = 0;
    refusal = cases[i].refusal;
    atfork_os_wait(&word, 1);
    g_assert_cmpint(naps, ==, cases[i].naps);
  }
  refusal = 0;
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/sleeping/as-long-as-said", test_as_long_as_said);
  if (has_two_calls) g_test_add_func("/sleeping/in-an-old-kernel", test_in_an_old_kernel);
  if (has_two_calls) g_test_add_func("/sleeping/in-a-new-kernel", test_in_a_new_kernel);
  g_test_add_func("/sleeping/naps", test_naps);
  return g_test_run();
}
