/* SPDX-License-Identifier: MIT */
/* A hook that holds a mutex across each fork.  Written on the public API only. */
#define _POSIX_C_SOURCE 200809L /* the types of mutexes */

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "atfork.h"

struct held {
  pthread_mutex_t *mutex;
  /* Which thread holds it for a fork, and how many forks of that thread do, one inside another's callback. */
  _Atomic uintptr_t owner;
  unsigned depth;
  bool recursive;
};

/* Each thread has an errno of its own, which is there already: thread-local state of ours might be allocated
 * only now, in a child. */
static uintptr_t self(void) {
  return (uintptr_t)&errno;
}

static int hold(void *data) {
  struct held *held = data;
  if (atomic_load_explicit(&held->owner, memory_order_relaxed) == self()) {
    held->depth++;
    return 0;
  }
  int error = pthread_mutex_trylock(held->mutex);
  if (error != 0) return error;
  /* let_go_in_child() must know, and there is no other way to ask. */
  held->recursive = pthread_mutex_trylock(held->mutex) == 0;
  if (held->recursive) pthread_mutex_unlock(held->mutex);
  held->depth = 1;
  atomic_store_explicit(&held->owner, self(), memory_order_relaxed);
  return 0;
}

static void let_go(void *data) {
  struct held *held = data;
  if (atomic_load_explicit(&held->owner, memory_order_relaxed) != self()) return;
  if (--held->depth > 0) return;
  atomic_store_explicit(&held->owner, 0, memory_order_relaxed);
  pthread_mutex_unlock(held->mutex);
}

/*
 * The child has one thread, so forks that this one is nested in need the mutex no more either.  A mutex that
 * knows its owner does not take the child's thread for the one that locked it: it is made anew.
 */
static void let_go_in_child(void *data) {
  struct held *held = data;
  if (atomic_load_explicit(&held->owner, memory_order_relaxed) != self()) return;
  held->depth = 0;
  atomic_store_explicit(&held->owner, 0, memory_order_relaxed);
  if (pthread_mutex_unlock(held->mutex) == 0) return;
  pthread_mutexattr_t type;
  pthread_mutexattr_init(&type);
  pthread_mutexattr_settype(&type, held->recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(held->mutex, &type);
  pthread_mutexattr_destroy(&type);
}

atfork_id atfork_register_mutex_for(pthread_mutex_t *mutex, int priority, void *dso) {
  if (mutex == NULL) {
    errno = EINVAL;
    return 0;
  }
  struct held *held = malloc(sizeof *held);
  if (held == NULL) return 0;
  *held = (struct held){.mutex = mutex};
  struct atfork_hook hook = {
      .name = "mutex",
      .priority = priority,
      .try_prepare = hold,
      .parent = let_go,
      .child = let_go_in_child,
      .data = held,
      .destroy = free,
  };
  atfork_id id = atfork_register_for(&hook, dso);
  if (id == 0) free(held);
  return id;
}

atfork_id atfork_register_mutex(pthread_mutex_t *mutex, int priority) {
  return atfork_register_mutex_for(mutex, priority, NULL);
}
