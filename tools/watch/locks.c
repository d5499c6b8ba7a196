/* SPDX-License-Identifier: MIT */
/* Mutexes, read-write locks, spinlocks and locks of streams: each is entered into the table of the thread that takes
 * it, with the line of code. */
#include <pthread.h>
#include <stdio.h>
#include <threads.h>
#include <time.h>

#include "explore.h"
#include "held.h"

NEXT(pthread_mutex_lock);
NEXT(pthread_mutex_trylock);
NEXT(pthread_mutex_timedlock);
NEXT(pthread_mutex_clocklock);
NEXT(pthread_mutex_unlock);
NEXT(pthread_mutex_init);
NEXT(pthread_mutex_destroy);
NEXT(mtx_lock);
NEXT(mtx_trylock);
NEXT(mtx_timedlock);
NEXT(mtx_unlock);
NEXT(mtx_init);
NEXT(pthread_rwlock_rdlock);
NEXT(pthread_rwlock_tryrdlock);
NEXT(pthread_rwlock_timedrdlock);
NEXT(pthread_rwlock_clockrdlock);
NEXT(pthread_rwlock_wrlock);
NEXT(pthread_rwlock_trywrlock);
NEXT(pthread_rwlock_timedwrlock);
NEXT(pthread_rwlock_clockwrlock);
NEXT(pthread_rwlock_unlock);
NEXT(pthread_rwlock_init);
NEXT(pthread_rwlock_destroy);
NEXT(pthread_spin_lock);
NEXT(pthread_spin_trylock);
NEXT(pthread_spin_unlock);
NEXT(pthread_spin_init);
NEXT(pthread_spin_destroy);
NEXT(flockfile);
NEXT(ftrylockfile);
NEXT(funlockfile);

/* A mutex has the kernel's number of its owner.  In a child, the thread that forked has another number. */
void locks_in_child(void) {
  if (threads_lost != NULL) threads_know_caller();
}

/* ---- What each wrapper does around its function ---- */

/* `failed`: a result of `call` that means the lock was not taken. */
#define TAKE(kind, lock, timed, failed, call)                                                        \
  do {                                                                                               \
    struct thread *thread = held_thread(__func__);                                                   \
    if (UNLIKELY(thread == NULL)) return call;                                                       \
    if (UNLIKELY(threads_lost != NULL || explore_on)) held_check(kind, lock, __func__, SITE, timed); \
    held_add(thread, lock, SITE, kind);                                                              \
    int result = call;                                                                               \
    if (UNLIKELY(failed))                                                                            \
      held_remove(thread, lock);                                                                     \
    else if (UNLIKELY(threads_lost != NULL || explore_on))                                           \
      held_taken(kind, lock);                                                                        \
    return result;                                                                                   \
  } while (0)

/* A lock without an owner is entered when the caller has taken it; so is a lock that is only tried. */
#define TAKE_FIRST(kind, lock, checked, timed, failed, call)                                                        \
  do {                                                                                                              \
    struct thread *thread = held_thread(__func__);                                                                  \
    if (UNLIKELY(thread == NULL)) return call;                                                                      \
    if (UNLIKELY((checked) && (threads_lost != NULL || explore_on))) held_check(kind, lock, __func__, SITE, timed); \
    int result = call;                                                                                              \
    if (UNLIKELY(failed)) return result;                                                                            \
    held_add(thread, lock, SITE, kind);                                                                             \
    if (UNLIKELY(threads_lost != NULL || explore_on)) held_taken(kind, lock);                                       \
    return result;                                                                                                  \
  } while (0)

#define TRY(kind, lock, call) TAKE_FIRST(kind, lock, false, true, is_untaken(result), call)

/* After the release, the memory of the lock may be gone: only its address is used. */
#define RELEASE(lock, call) RELEASE_BY(__func__, lock, call)
#define RELEASE_BY(name, lock, call)                                       \
  do {                                                                     \
    struct thread *thread = held_thread(name);                             \
    int result = call;                                                     \
    if (UNLIKELY(thread == NULL || result != 0)) return result;            \
    if (UNLIKELY(threads_lost != NULL)) held_forget_not_own(thread, lock); \
    held_remove(thread, lock);                                             \
    return result;                                                         \
  } while (0)

#define MAKE(lock, call)                                   \
  do {                                                     \
    if (UNLIKELY(threads_lost != NULL)) held_forget(lock); \
    return call;                                           \
  } while (0)

/* The owner of a robust mutex has died: the caller owns it now. */
static inline bool is_untaken(int error) {
  return error != 0 && error != EOWNERDEAD;
}

/* ---- Mutexes ---- */

__attribute__((noinline)) static int lock_slowly(pthread_mutex_t *mutex, const void *site) {
  struct thread *thread = held_enter("pthread_mutex_lock");
  if (thread == NULL) return CALL(pthread_mutex_lock)(mutex);
  held_check(KIND_MUTEX, mutex, "pthread_mutex_lock", site, false);
  held_add(thread, mutex, site, KIND_MUTEX);
  int error = CALL(pthread_mutex_lock)(mutex);
  if (is_untaken(error))
    held_remove(thread, mutex);
  else if (threads_lost != NULL || explore_on)
    held_taken(KIND_MUTEX, mutex);
  return error;
}

/* The C library's function.  In the quick way it has been looked up before. */
#define DIRECT(name) ((__typeof__(&name))atomic_load_explicit(&next_of_##name.function, memory_order_relaxed))

/* The rare case, and the call itself, are tail calls, so no registers are saved.  If the lock was refused, its entry
 * stays, but the lock has another owner. */
EXPORT int pthread_mutex_lock(pthread_mutex_t *mutex) {
  struct thread *thread = held_quick();
  if (UNLIKELY(thread == NULL || thread->held_count >= HELD)) return lock_slowly(mutex, SITE);
  held_put(thread, mutex, SITE, KIND_MUTEX);
  return DIRECT(pthread_mutex_lock)(mutex);
}

EXPORT int pthread_mutex_trylock(pthread_mutex_t *mutex) {
  TRY(KIND_MUTEX, mutex, CALL(pthread_mutex_trylock)(mutex));
}

EXPORT int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *limit) {
  TAKE(KIND_MUTEX, mutex, true, is_untaken(result), CALL(pthread_mutex_timedlock)(mutex, limit));
}

EXPORT int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *limit) {
  TAKE(KIND_MUTEX, mutex, true, is_untaken(result), CALL(pthread_mutex_clocklock)(mutex, clock, limit));
}

__attribute__((noinline)) static int unlock_slowly(pthread_mutex_t *mutex) {
  RELEASE_BY("pthread_mutex_unlock", mutex, CALL(pthread_mutex_unlock)(mutex));
}

EXPORT int pthread_mutex_unlock(pthread_mutex_t *mutex) {
  struct thread *thread = held_quick();
  if (UNLIKELY(thread == NULL)) return unlock_slowly(mutex);
  int error = DIRECT(pthread_mutex_unlock)(mutex);
  if (LIKELY(error == 0)) held_remove(thread, mutex);
  return error;
}

EXPORT int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
  MAKE(mutex, CALL(pthread_mutex_init)(mutex, attributes));
}

EXPORT int pthread_mutex_destroy(pthread_mutex_t *mutex) {
  MAKE(mutex, CALL(pthread_mutex_destroy)(mutex));
}

/* ---- Those of C11 ---- */

EXPORT int mtx_lock(mtx_t *mutex) {
  TAKE(KIND_MUTEX, mutex, false, result != thrd_success, CALL(mtx_lock)(mutex));
}

EXPORT int mtx_trylock(mtx_t *mutex) {
  TAKE_FIRST(KIND_MUTEX, mutex, false, true, result != thrd_success, CALL(mtx_trylock)(mutex));
}

EXPORT int mtx_timedlock(mtx_t *mutex, const struct timespec *limit) {
  TAKE(KIND_MUTEX, mutex, true, result != thrd_success, CALL(mtx_timedlock)(mutex, limit));
}

EXPORT int mtx_unlock(mtx_t *mutex) {
  RELEASE(mutex, CALL(mtx_unlock)(mutex));
}

EXPORT int mtx_init(mtx_t *mutex, int type) {
  MAKE(mutex, CALL(mtx_init)(mutex, type));
}

/* ---- Read-write locks ---- */

EXPORT int pthread_rwlock_rdlock(pthread_rwlock_t *lock) {
  TAKE_FIRST(KIND_READ, lock, true, false, result != 0, CALL(pthread_rwlock_rdlock)(lock));
}

EXPORT int pthread_rwlock_tryrdlock(pthread_rwlock_t *lock) {
  TRY(KIND_READ, lock, CALL(pthread_rwlock_tryrdlock)(lock));
}

EXPORT int pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *limit) {
  TAKE_FIRST(KIND_READ, lock, true, true, result != 0, CALL(pthread_rwlock_timedrdlock)(lock, limit));
}

EXPORT int pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *limit) {
  TAKE_FIRST(KIND_READ, lock, true, true, result != 0, CALL(pthread_rwlock_clockrdlock)(lock, clock, limit));
}

EXPORT int pthread_rwlock_wrlock(pthread_rwlock_t *lock) {
  TAKE(KIND_WRITE, lock, false, result != 0, CALL(pthread_rwlock_wrlock)(lock));
}

EXPORT int pthread_rwlock_trywrlock(pthread_rwlock_t *lock) {
  TRY(KIND_WRITE, lock, CALL(pthread_rwlock_trywrlock)(lock));
}

EXPORT int pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *limit) {
  TAKE(KIND_WRITE, lock, true, result != 0, CALL(pthread_rwlock_timedwrlock)(lock, limit));
}

EXPORT int pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *limit) {
  TAKE(KIND_WRITE, lock, true, result != 0, CALL(pthread_rwlock_clockwrlock)(lock, clock, limit));
}

EXPORT int pthread_rwlock_unlock(pthread_rwlock_t *lock) {
  RELEASE(lock, CALL(pthread_rwlock_unlock)(lock));
}

EXPORT int pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attributes) {
  MAKE(lock, CALL(pthread_rwlock_init)(lock, attributes));
}

EXPORT int pthread_rwlock_destroy(pthread_rwlock_t *lock) {
  MAKE(lock, CALL(pthread_rwlock_destroy)(lock));
}

/* ---- Spinlocks ---- */

static inline const void *address(volatile const void *lock) {
  return (const void *)(uintptr_t)lock;
}

EXPORT int pthread_spin_lock(pthread_spinlock_t *lock) {
  TAKE_FIRST(KIND_SPIN, address(lock), true, false, result != 0, CALL(pthread_spin_lock)(lock));
}

EXPORT int pthread_spin_trylock(pthread_spinlock_t *lock) {
  TRY(KIND_SPIN, address(lock), CALL(pthread_spin_trylock)(lock));
}

EXPORT int pthread_spin_unlock(pthread_spinlock_t *lock) {
  RELEASE(address(lock), CALL(pthread_spin_unlock)(lock));
}

EXPORT int pthread_spin_init(pthread_spinlock_t *lock, int shared) {
  MAKE(address(lock), CALL(pthread_spin_init)(lock, shared));
}

EXPORT int pthread_spin_destroy(pthread_spinlock_t *lock) {
  MAKE(address(lock), CALL(pthread_spin_destroy)(lock));
}

/* ---- Streams ---- */

EXPORT void flockfile(FILE *stream) {
  struct thread *thread = held_thread("flockfile");
  if (thread != NULL) held_check(KIND_FILE, stream, "flockfile", SITE, false);
  CALL(flockfile)(stream);
  if (thread != NULL) held_add(thread, stream, SITE, KIND_FILE);
  if (thread != NULL && explore_on) held_taken(KIND_FILE, stream);
}

EXPORT int ftrylockfile(FILE *stream) {
  TRY(KIND_FILE, stream, CALL(ftrylockfile)(stream));
}

EXPORT void funlockfile(FILE *stream) {
  struct thread *thread = held_thread("funlockfile");
  CALL(funlockfile)(stream);
  if (thread != NULL) held_remove(thread, stream);
}
