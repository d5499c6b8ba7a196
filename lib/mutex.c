/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* the types of mutexes */

#include "mutex.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "fork.h"
#include "hook.h"
#include "os.h"
#include "self.h"
#include "thread.h"

enum { SLICE = 100 /* ms; signals are blocked for so long */ };

struct held {
  pthread_mutex_t *mutex;
  /* Which thread holds the mutex for a fork, and how often: for forks of that thread, one in a callback of another, and
   * for other hooks of the same mutex. */
  _Atomic uintptr_t owner;
  unsigned depth;
  unsigned sharers; /* how often for other hooks; part of `depth` */
  _Atomic uint64_t
      generation; /* of the process in which a fork locked the mutex last, or checked that no lost thread has it */
  bool recursive;
  struct held *next;    /* in the list of hooks for which this thread's forks hold a mutex */
  struct held *through; /* the other hook that has locked the mutex for this one; NULL: this hook has locked it */
};

/* ---- Signals ---- */

/* Not the signals that a fault raises: if they are blocked, a fault ends the process. */
static void hold_signals_back(sigset_t *before) {
  static const int faults[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  sigset_t most;
  sigfillset(&most);
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&most, faults[i]);
  pthread_sigmask(SIG_BLOCK, &most, before);
}

static void let_signals_in(const sigset_t *before) {
  pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ---- The owner ---- */

/* The address of errno names a thread.  Thread-local state of ours might have to be allocated now, in a child; errno
 * exists already. */
static uintptr_t own_errno(void) {
  return (uintptr_t)&errno;
}

static bool is_on_list(const struct held *held) {
  const struct held *each = atfork_thread.held;
  while (each != NULL && each != held) each = each->next;
  return each != NULL;
}

/* After a bypassing fork, a new thread may have its errno where a lost thread had its own, but it has an empty list. */
static bool is_own(const struct held *held) {
  return atomic_load_explicit(&held->owner, memory_order_relaxed) == own_errno() && is_on_list(held);
}

static void set_owner(struct held *held, uintptr_t owner) {
  atomic_store_explicit(&held->owner, owner, memory_order_relaxed);
}

/* Finds out whether the mutex, which this thread has just locked, is recursive: there is no other way to ask. */
static void learn_type(struct held *held) {
  held->recursive = pthread_mutex_trylock(held->mutex) == 0;
  if (held->recursive) pthread_mutex_unlock(held->mutex);
}

/* Unlocks the mutex.  A mutex with an owner cannot be unlocked in another process than the one that locked it, as the
 * thread has another number there: it is initialised anew. */
static void unlock(const struct held *held, bool in_another_process) {
  if (pthread_mutex_unlock(held->mutex) == 0 || !in_another_process) return;
  pthread_mutexattr_t type;
  pthread_mutexattr_init(&type);
  pthread_mutexattr_settype(&type, held->recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(held->mutex, &type);
  pthread_mutexattr_destroy(&type);
}

/*
 * For a locked mutex.  After a bypassing fork its owner may be a lost thread, and no thread of this process will unlock
 * it.  Then one thread frees it here.  Each process checks this once: if a thread of this process ends with the mutex
 * locked, that is a fault of the program.
 */
static void free_from_the_gone(struct held *held) {
  uint64_t here = atfork_self_generation();
  uint64_t before = atomic_load(&held->generation);
  if (before == here || !atfork_os_mutex_is_orphaned(held->mutex)) return;
  if (!atomic_compare_exchange_strong(&held->generation, &before, here)) return;
  unlock(held, true);
  set_owner(held, 0);
}

/* ---- Before the fork ---- */

/* The hook that comes last of those for which forks of this thread hold the mutex; NULL if there is none. */
static struct held *held_here(const pthread_mutex_t *mutex) {
  struct held *held = atfork_thread.held;
  while (held != NULL && held->mutex != mutex) held = held->next;
  return held;
}

static void put_on_list(struct held *held, struct held *through) {
  held->through = through;
  held->sharers = 0;
  held->next = atfork_thread.held;
  atfork_thread.held = held;
}

/* If the mutex is registered more than once, a fork that has locked it for one hook shares it with the others. */
static bool share(struct held *held) {
  struct held *other = held_here(held->mutex);
  if (other == NULL) return false;
  if (other->through != NULL) other = other->through;
  other->depth++;
  other->sharers++;
  put_on_list(held, other);
  return true;
}

/* Locks the mutex, and waits for at most `ms`. */
static int lock_for(struct held *held, unsigned ms) {
  return ms != 0 ? atfork_os_mutex_lock_for(held->mutex, ms) : pthread_mutex_trylock(held->mutex);
}

/* share() comes before free_from_the_gone(): in a child, a mutex that this thread's forks have locked looks as if a
 * lost thread had it. */
static int lock(struct held *held, unsigned ms) {
  int error = lock_for(held, ms);
  if (error != 0 && share(held)) return 0;
  if (error != 0 && ms == 0) {
    free_from_the_gone(held);
    error = pthread_mutex_trylock(held->mutex);
  }
  if (error != 0) return error;
  learn_type(held);
  atomic_store(&held->generation, atfork_self_generation());
  put_on_list(held, NULL);
  return 0;
}

static int take(struct held *held, unsigned ms) {
  sigset_t before;
  hold_signals_back(&before);
  bool again = is_own(held);
  int error = again ? 0 : lock(held, ms);
  if (error == 0) {
    held->depth = again ? held->depth + 1 : 1;
    set_owner(held, own_errno());
  }
  let_signals_in(&before);
  return error;
}

static int hold(void *data) {
  struct held *held = data;
  int error = take(held, 0);
  if (error != 0) atfork_thread.locked = held->mutex;
  return error;
}

/* Waits in slices, as the thread that has the mutex may be unregistering the hook.  An error-checking mutex that this
 * thread has locked itself fails at once: then it pauses. */
static void hold_in_the_end(void *data) {
  struct held *held = data;
  for (unsigned attempt = 0;; attempt++) {
    int error = take(held, SLICE);
    if (error == 0 || atfork_fork_gives_up()) return;
    if (error != ETIMEDOUT) atfork_os_back_off(attempt);
    if (hold(held) == 0) return;
  }
}

/* ---- After the fork ---- */

/* It is usually the first in the list, as the phases after a fork run in the reverse order. */
static void take_off_list(struct held *held) {
  struct held **at = &atfork_thread.held;
  while (*at != held) at = &(*at)->next;
  *at = held->next;
}

static void release(struct held *held) {
  held->depth = 0;
  set_owner(held, 0);
  take_off_list(held);
  if (held->through == NULL) unlock(held, atomic_load(&held->generation) != atfork_self_generation());
}

static void count_down(struct held *held) {
  if (!is_own(held) || --held->depth > 0) return;
  release(held);
  if (held->through == NULL) return;
  held->through->sharers--;
  count_down(held->through);
}

static void let_go(void *data) {
  sigset_t before;
  hold_signals_back(&before);
  count_down(data);
  let_signals_in(&before);
}

static void release_in_child(struct held *held) {
  release(held);
  atomic_store(&held->generation, atfork_self_generation());
}

/* Counts them, as a search for one more would go through the list to its end, for each mutex. */
static void release_all_in_child(struct held *one) {
  const struct held *locked = one->through != NULL ? one->through : one;
  for (unsigned left = locked->sharers + 1; left > 0; left--) {
    struct held *next = held_here(locked->mutex);
    assert(next != NULL);
    release_in_child(next);
  }
}

/* For a mutex that no fork of this thread has locked: after a bypassing fork, or when another hook has released it. */
static void free_if_left(struct held *held) {
  if (pthread_mutex_trylock(held->mutex) == 0)
    pthread_mutex_unlock(held->mutex);
  else
    free_from_the_gone(held);
}

/*
 * In the child the forks around this one do not need the mutex either, whatever hook they have locked it for.  So the
 * first hook releases it for all of them: if the mutex is locked after that, the child itself has locked it; and none
 * of them leads to a hook that a callback has unloaded meanwhile.
 */
static void let_go_in_child(void *data) {
  struct held *held = data, *other = held_here(held->mutex);
  sigset_t before;
  hold_signals_back(&before);
  if (other != NULL)
    release_all_in_child(other);
  else
    free_if_left(held);
  atomic_store(&held->generation, atfork_self_generation());
  let_signals_in(&before);
}

/* ---- Registering ---- */

/* Another hook that shares the mutex with this one, which has locked it, holds the mutex from now on; the rest share it
 * with that one. */
static void hand_over(struct held *held) {
  struct held *heir = NULL;
  for (struct held *each = atfork_thread.held; each != NULL; each = each->next) {
    if (each->through != held) continue;
    each->through = heir; /* NULL for the first, which is the heir */
    if (heir == NULL) {
      heir = each;
      heir->recursive = held->recursive;
      atomic_store(&heir->generation, atomic_load(&held->generation));
    } else {
      heir->depth++;
      heir->sharers++;
    }
  }
  take_off_list(held);
}

/* If a callback unloads the hook's object in the middle of a fork, no later callback of this hook unlocks the mutex.
 * So this function unlocks it, unless other hooks share it. */
static void end(void *data) {
  struct held *held = data;
  sigset_t before;
  hold_signals_back(&before);
  if (is_own(held) && held->sharers > 0) {
    hand_over(held);
  } else if (is_own(held)) {
    held->depth = 1;
    count_down(held);
  }
  let_signals_in(&before);
  free(held);
}

/* Finds out the type of a mutex that is not locked.  If it is locked, the first fork finds it out. */
static void look_at_mutex(struct held *held) {
  sigset_t before;
  hold_signals_back(&before);
  atomic_store(&held->generation, atfork_self_generation());
  if (pthread_mutex_trylock(held->mutex) == 0) {
    learn_type(held);
    pthread_mutex_unlock(held->mutex);
  }
  let_signals_in(&before);
}

atfork_id atfork_mutex_register(pthread_mutex_t *mutex, int priority, void *dso) {
  if (mutex == NULL) {
    errno = EINVAL;
    return 0;
  }
  struct held *held = malloc(sizeof *held);
  if (held == NULL) return 0;
  *held = (struct held){.mutex = mutex};
  look_at_mutex(held);
  struct atfork_hook hook = {
      .name = "mutex",
      .priority = priority,
      .try_prepare = hold,
      .wait = hold_in_the_end,
      .parent = let_go,
      .child = let_go_in_child,
      .data = held,
      .destroy = end,
  };
  atfork_id id = atfork_hook_register(&hook, dso);
  if (id == 0) free(held);
  return id;
}
