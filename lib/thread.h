/* SPDX-License-Identifier: MIT */
/*
 * What the library knows of the calling thread.  Initial-exec, so that it lies beside the C library's own
 * thread-local state, on a page that fork() writes anyway, and is reached without a call.
 */
#ifndef ATFORK_THREAD_H
#define ATFORK_THREAD_H

#include <stdint.h>

struct frame;
struct turn;
struct held;
struct waiting;

struct thread {
  struct frame *frame;     /* the innermost walk of this thread, or the last one; used by frame.c alone */
  int updating;            /* this thread holds the lock; written by lock.c alone */
  struct turn *turn;       /* the innermost init of atfork_once() that this thread is in; written by once.c alone */
  struct held *held;       /* what forks of this thread have locked; written by mutex.c alone */
  struct waiting *waiting; /* for a hook, in the innermost fork that does; written by fork.c alone */
  const void *locked;      /* the mutex that made the latest try_prepare say "not now"; NULL: another reason */
};

extern _Thread_local struct thread atfork_thread __attribute__((tls_model("initial-exec")));

/* Names the calling thread among those of its process. */
static inline uintptr_t thread_self(void) {
  return (uintptr_t)&atfork_thread;
}

#endif
