/* SPDX-License-Identifier: MIT */
/* A hook that holds a mutex across each fork. */
#define _POSIX_C_SOURCE 200809L /* the types of mutexes */

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "atfork.h"
#include "thread.h"

struct held {
  pthread_mutex_t *mutex;
  /* Which thread holds it for a fork, and how often: for forks of that thread, one inside another's callback, and for
   * other hooks of the same mutex. */
  _Atomic uintptr_t owner;
  unsigned depth;
  bool recursive;
  struct held *next;    /* in the list of what this thread has locked */
  struct held *through; /* the other hook whose hold this one shares; NULL: it has locked the mutex itself */
};

/* Each thread has an errno of its own, which is there already: thread-local state of ours might be allocated
 * only now, in a child. */
static uintptr_t self(void) {
  return (uintptr_t)&errno;
}

static bool is_own(const struct held *held) {
  return atomic_load_explicit(&held->owner, memory_order_relaxed) == self();
}

/* Where the mutex is registered more than once, a fork that has locked it for one hook holds it for the others. */
static bool share(struct held *held) {
  struct held *other = atfork_thread.held;
  while (other != NULL && other->mutex != held->mutex) other = other->next;
  if (other == NULL) return false;
  other->depth++;
  held->through = other;
  return true;
}

static int lock(struct held *held) {
  int error = pthread_mutex_trylock(held->mutex);
  if (error != 0) return share(held) ? 0 : error;
  /* let_go_in_child() must know, and there is no other way to ask. */
  held->recursive = pthread_mutex_trylock(held->mutex) == 0;
  if (held->recursive) pthread_mutex_unlock(held->mutex);
  held->through = NULL;
  held->next = atfork_thread.held;
  atfork_thread.held = held;
  return 0;
}

/* It is the first as a rule, as the phases after a fork run in the reverse of the order before it. */
static void take_off_list(struct held *held) {
  struct held **at = &atfork_thread.held;
  while (*at != held) at = &(*at)->next;
  *at = held->next;
}

static int hold(void *data) {
  struct held *held = data;
  if (is_own(held)) {
    held->depth++;
    return 0;
  }
  int error = lock(held);
  if (error != 0) {
    atfork_thread.locked = held->mutex;
    return error;
  }
  held->depth = 1;
  atomic_store_explicit(&held->owner, self(), memory_order_relaxed);
  return 0;
}

static void let_go(void *data) {
  struct held *held = data;
  if (!is_own(held) || --held->depth > 0) return;
  atomic_store_explicit(&held->owner, 0, memory_order_relaxed);
  if (held->through != NULL) {
    let_go(held->through);
    return;
  }
  take_off_list(held);
  pthread_mutex_unlock(held->mutex);
}

/* A mutex that knows its owner does not take the child's thread for the one that locked it: it is made anew. */
static void unlock_in_child(const struct held *held) {
  if (pthread_mutex_unlock(held->mutex) == 0) return;
  pthread_mutexattr_t type;
  pthread_mutexattr_init(&type);
  pthread_mutexattr_settype(&type, held->recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(held->mutex, &type);
  pthread_mutexattr_destroy(&type);
}

/* The child has one thread, so forks that this one is nested in need the mutex no more either. */
static void let_go_in_child(void *data) {
  struct held *held = data;
  if (!is_own(held)) return;
  held->depth = 0;
  atomic_store_explicit(&held->owner, 0, memory_order_relaxed);
  if (held->through != NULL) {
    let_go_in_child(held->through);
    return;
  }
  take_off_list(held);
  unlock_in_child(held);
}

/* Not while a fork holds it still, as its object was unloaded in a callback: it is in the list, and others may share
 * it. */
static void end(void *data) {
  if (!is_own(data)) free(data);
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
      .destroy = end,
  };
  atfork_id id = atfork_register_for(&hook, dso);
  if (id == 0) free(held);
  return id;
}

atfork_id atfork_register_mutex(pthread_mutex_t *mutex, int priority) {
  return atfork_register_mutex_for(mutex, priority, NULL);
}
