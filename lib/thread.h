/* SPDX-License-Identifier: MIT */
/*
 * The library's thread-local state.  It is initial-exec: it lies beside that of the C library, on a page that fork()
 * writes anyway, and no call is needed to find it.
 */
#ifndef ATFORK_THREAD_H
#define ATFORK_THREAD_H

#include <stdint.h>

struct frame;
struct turn;
struct held;
struct waiting;

struct thread {
  struct frame *frame;     /* frame.c: the innermost walk of this thread, or the last one */
  int updating;            /* lock.c writes it: this thread holds the lock */
  struct turn *turn;       /* once.c: the innermost init of atfork_once() that this thread is in */
  struct held *held;       /* mutex.c: the mutexes that forks of this thread have locked */
  struct waiting *waiting; /* fork.c: the innermost wait of this thread for a hook */
  const void *locked;      /* the mutex that made the latest try_prepare say "not now"; NULL: another reason */
};

extern _Thread_local struct thread atfork_thread __attribute__((tls_model("initial-exec")));

/* A number that identifies the calling thread in its process. */
static inline uintptr_t thread_self(void) {
  return (uintptr_t)&atfork_thread;
}

#endif
