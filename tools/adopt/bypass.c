/* SPDX-License-Identifier: MIT */
/*
 * Wraps the functions that make a process and run no fork handlers: _Fork(), clone(), and the system calls.  The child
 * catches up at once.  A child that shares its parent's memory (vfork(), threads) is left alone; so is one with its own
 * stack, as it goes on at an unknown place.
 */
#include <atfork.h>
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "adopt.h"

any_function adopt_next(const char *name) {
  return (any_function)(uintptr_t)dlsym(RTLD_NEXT, name);
}

/* ---- Functions ---- */

static _Atomic(any_function) next_fork, next_clone, next_syscall;

/* All are looked up at the load: a child must not take the dynamic linker's lock. */
static any_function look_up(_Atomic(any_function) *next, const char *name) {
  any_function function = atomic_load_explicit(next, memory_order_relaxed);
  if (function != NULL) return function;
  function = adopt_next(name);
  atomic_store_explicit(next, function, memory_order_relaxed);
  return function;
}

__attribute__((constructor)) static void look_up_all(void) {
  look_up(&next_fork, "_Fork");
  look_up(&next_clone, "clone");
  look_up(&next_syscall, "syscall");
}

/* In a child. */
static void catch_up(void) {
  int before = errno;
  atfork_poll();
  errno = before;
}

EXPORT pid_t _Fork(void) {
  pid_t pid = ((__typeof__(&_Fork))look_up(&next_fork, "_Fork"))();
  if (pid == 0) catch_up();
  return pid;
}

struct child {
  int (*function)(void *argument);
  void *argument;
};

static int begin_child(void *data) {
  struct child child = *(struct child *)data;
  catch_up();
  return child.function(child.argument);
}

EXPORT int clone(int (*function)(void *argument), void *stack, int flags, void *argument, ...) {
  __typeof__(&clone) next = (__typeof__(&clone))look_up(&next_clone, "clone");
  struct child child = {function, argument};
  bool shares = (flags & CLONE_VM) != 0 || function == NULL;
  va_list rest;
  va_start(rest, argument);
  pid_t *parent_tid = va_arg(rest, pid_t *);
  void *tls = va_arg(rest, void *);
  pid_t *child_tid = va_arg(rest, pid_t *);
  va_end(rest);
  if (shares) return next(function, stack, flags, argument, parent_tid, tls, child_tid);
  return next(begin_child, stack, flags, &child, parent_tid, tls, child_tid);
}

/* ---- System calls ---- */

/* Whether it makes a process with its own memory that goes on where its parent does. */
static bool makes_process(long number, const long *args) {
#ifdef SYS_fork
  if (number == SYS_fork) return true;
#endif
  if (number == SYS_clone) return (args[0] & CLONE_VM) == 0 && args[1] == 0;
  if (number != SYS_clone3 || args[0] == 0) return false;
  const uint64_t *asked = (const uint64_t *)(uintptr_t)args[0]; /* flags come first, the stack sixth */
  return (asked[0] & CLONE_VM) == 0 && asked[5] == 0;
}

EXPORT long syscall(long number, ...) {
  long args[6];
  va_list rest;
  va_start(rest, number);
  for (unsigned i = 0; i < 6; i++) args[i] = va_arg(rest, long);
  va_end(rest);
  long result = ((__typeof__(&syscall))look_up(&next_syscall, "syscall"))(number, args[0], args[1], args[2], args[3],
                                                                          args[4], args[5]);
  if (result == 0 && makes_process(number, args)) catch_up();
  return result;
}
