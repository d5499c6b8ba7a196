/* SPDX-License-Identifier: MIT */
/*
 * Condition variables, barriers, semaphores, and joined threads: one thread waits for what another one does.
 *
 * A wait that cannot end is recognised before the child hangs: the child has one thread and has lost others, and the
 * object is in its private memory.  A signal handler may still post a semaphore, so the child first waits for a while.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <threads.h>
#include <time.h>

#include "explore.h"
#include "held.h"
#include "raw.h"

NEXT(pthread_cond_init);
NEXT(pthread_cond_destroy);
NEXT(pthread_cond_wait);
NEXT(pthread_cond_timedwait);
NEXT(pthread_cond_clockwait);
NEXT(pthread_cond_signal);
NEXT(pthread_cond_broadcast);
NEXT(cnd_init);
NEXT(cnd_destroy);
NEXT(cnd_wait);
NEXT(cnd_timedwait);
NEXT(cnd_signal);
NEXT(cnd_broadcast);
NEXT(pthread_barrier_init);
NEXT(pthread_barrier_wait);
NEXT(sem_init);
NEXT(sem_wait);
NEXT(sem_trywait);
NEXT(sem_timedwait);
NEXT(sem_clockwait);
NEXT(sem_post);
NEXT(pthread_join);
NEXT(thrd_join);
NEXT(pthread_kill);
NEXT(pthread_sigqueue);
NEXT(pthread_detach);
NEXT(pthread_tryjoin_np);
NEXT(pthread_timedjoin_np);
NEXT(pthread_cancel);

/* ---- Whether anybody can end a wait ---- */

enum { GRACE = 1 /* s */ };

/* The kernel counts them by the links of the directory. */
static bool is_alone(void) {
  struct stat status;
  if (threads_others() != 0) return false;
  long error = raw_call(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task", (long)&status, 0, 0, 0);
  return error == 0 && status.st_nlink == 3; /* ".", "..", and one */
}

/* Handlers of these signals do not make a program go on, or each program of a language has them, as Python's for
 * SIGINT. */
static bool is_ordinary(int number) {
  static const int others[] = {SIGINT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPIPE, SIGSTKFLT};
  for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
    if (number == others[i]) return false;
  return number < 32 || number > 33; /* glibc's own */
}

static bool has_signal_handler(void) {
  for (int number = 1; number < NSIG; number++) {
    struct {
      uintptr_t handler;
      unsigned long rest[4];
    } action = {0, {0}};
    if (!is_ordinary(number)) continue;
    if (raw_call(SYS_rt_sigaction, number, 0, (long)&action, 8, 0, 0) == 0 && action.handler > 1) return true;
  }
  return false;
}

static bool may_be_endless(void) {
  return threads_lost != NULL && is_alone();
}

static void set_waits(struct thread *thread, const void *object, enum stuck kind) {
  if (thread == NULL) return;
  thread->waits_kind = kind;
  atomic_store_explicit(&thread->waits, object, memory_order_relaxed);
}

static struct timespec in_a_while(void) {
  struct timespec limit;
  clock_gettime(CLOCK_MONOTONIC, &limit);
  limit.tv_sec += GRACE;
  return limit;
}

/* ---- Waiters that are lost ---- */

struct waiters {
  unsigned count, untold;
};

static struct waiters lost_waiters(const void *object) {
  struct waiters waiters = {0, 0};
  for (const struct thread *thread = threads_lost; thread != NULL; thread = atomic_load(&thread->next)) {
    if (atomic_load(&thread->waits) != object) continue;
    waiters.count++;
    waiters.untold += !thread->told;
  }
  return waiters;
}

static void note_told(const void *object) {
  for (struct thread *thread = threads_lost; thread != NULL; thread = atomic_load(&thread->next))
    if (atomic_load(&thread->waits) == object) thread->told = true;
}

/* The object is initialised again. */
static void forget_waiters(const void *object) {
  for (struct thread *thread = threads_lost; thread != NULL; thread = atomic_load(&thread->next))
    if (atomic_load(&thread->waits) == object) atomic_store(&thread->waits, NULL);
}

static void tell_waiters(const void *object, unsigned count, bool barrier, bool ends, const char *function,
                         const void *site) {
  struct text text = {.size = 0};
  text_add(&text, function);
  struct stack stack;
  stack_take_from(&stack, site);
  LOG(RECORD_WAITERS_LOST, &text, &stack, self_get()->fork, (uint64_t)(uintptr_t)object, count, barrier, ends);
  if (ends) raw_exit(125);
  note_told(object);
}

/* ---- Condition variables ---- */

enum { CONDITION_SHARED = 1, WAITERS_SHIFT = 3, REFERENCES_SHIFT = 1 };

/* glibc before 2.41 has two groups of waiters.  Before it signals the newer group, it waits for all threads of the
 * older one to leave; lost threads never leave. */
static bool signal_hangs(const pthread_cond_t *condition) {
#if __GLIBC_PREREQ(2, 41)
  (void)condition;
  return false;
#else
  unsigned older = ((unsigned)condition->__data.__wseq.__value64 & 1) ^ 1;
  return condition->__data.__g_size[older] == 0 && condition->__data.__g_refs[older] >> REFERENCES_SHIFT != 0 &&
         is_alone();
#endif
}

/* The object itself says whether it has waiters: if it was zeroed, or initialised unseen, it has none. */
static void use_condition(const void *object, bool destroys, const char *function, const void *site) {
  if (LIKELY(threads_lost == NULL)) return;
  const pthread_cond_t *condition = object;
  struct waiters lost = lost_waiters(condition);
  unsigned references = condition->__data.__wrefs;
  if (references >> WAITERS_SHIFT == 0 || (references & CONDITION_SHARED) != 0) return;
  bool hangs = destroys ? lost.count > 0 : signal_hangs(condition);
  if ((lost.untold == 0 && !hangs) || memory_is_shared(condition)) return;
  tell_waiters(condition, lost.count, false, hangs, function, site);
}

EXPORT int pthread_cond_signal(pthread_cond_t *condition) {
  held_thread(__func__);
  use_condition(condition, false, __func__, SITE);
  return CALL(pthread_cond_signal)(condition);
}

EXPORT int pthread_cond_broadcast(pthread_cond_t *condition) {
  held_thread(__func__);
  use_condition(condition, false, __func__, SITE);
  return CALL(pthread_cond_broadcast)(condition);
}

EXPORT int pthread_cond_destroy(pthread_cond_t *condition) {
  held_thread(__func__);
  use_condition(condition, true, __func__, SITE);
  return CALL(pthread_cond_destroy)(condition);
}

EXPORT int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes) {
  if (threads_lost != NULL) forget_waiters(condition);
  return CALL(pthread_cond_init)(condition, attributes);
}

EXPORT int cnd_signal(cnd_t *condition) {
  held_thread(__func__);
  use_condition(condition, false, __func__, SITE);
  return CALL(cnd_signal)(condition);
}

EXPORT int cnd_broadcast(cnd_t *condition) {
  held_thread(__func__);
  use_condition(condition, false, __func__, SITE);
  return CALL(cnd_broadcast)(condition);
}

EXPORT void cnd_destroy(cnd_t *condition) {
  held_thread(__func__);
  use_condition(condition, true, __func__, SITE);
  CALL(cnd_destroy)(condition);
}

EXPORT int cnd_init(cnd_t *condition) {
  if (threads_lost != NULL) forget_waiters(condition);
  return CALL(cnd_init)(condition);
}

/* The child's only thread waits for a while.  If this wait times out, no thread was there to signal. */
static int wait_alone(pthread_cond_t *condition, pthread_mutex_t *mutex, const char *function, const void *site) {
  struct timespec limit = in_a_while();
  int error = CALL(pthread_cond_clockwait)(condition, mutex, CLOCK_MONOTONIC, &limit);
  if (error != ETIMEDOUT) return error;
  if (may_be_endless() && !has_signal_handler()) {
    held_stuck(&(struct stuck_at){STUCK_CONDITION, KIND_MUTEX, condition, NULL, 0, NULL, function, site, true});
  }
  return 0; /* as a spurious wakeup, which every program has to expect */
}

static bool is_waited_alone(const void *object) {
  const pthread_cond_t *condition = object;
  return UNLIKELY(threads_lost != NULL) && may_be_endless() && (condition->__data.__wrefs & CONDITION_SHARED) == 0 &&
         !memory_is_shared(condition);
}

/* The wait releases the mutex and takes it again.  Its owner shows this, so its entry may stay. */
#define WAIT(object, call)                                             \
  do {                                                                 \
    struct thread *thread = held_thread(__func__);                     \
    if (UNLIKELY(thread == NULL)) return call;                         \
    set_waits(thread, object, STUCK_CONDITION);                        \
    int result = call;                                                 \
    atomic_store_explicit(&thread->waits, NULL, memory_order_relaxed); \
    return result;                                                     \
  } while (0)

EXPORT int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
  WAIT(condition, is_waited_alone(condition) ? wait_alone(condition, mutex, "pthread_cond_wait", SITE)
                                             : CALL(pthread_cond_wait)(condition, mutex));
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *limit) {
  WAIT(condition, CALL(pthread_cond_timedwait)(condition, mutex, limit));
}

EXPORT int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
                                  const struct timespec *limit) {
  WAIT(condition, CALL(pthread_cond_clockwait)(condition, mutex, clock, limit));
}

static int wait_alone_c11(cnd_t *condition, mtx_t *mutex, const void *site) {
  return wait_alone((void *)condition, (void *)mutex, "cnd_wait", site) == 0 ? thrd_success : thrd_error;
}

EXPORT int cnd_wait(cnd_t *condition, mtx_t *mutex) {
  WAIT(condition,
       is_waited_alone(condition) ? wait_alone_c11(condition, mutex, SITE) : CALL(cnd_wait)(condition, mutex));
}

EXPORT int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *limit) {
  WAIT(condition, CALL(cnd_timedwait)(condition, mutex, limit));
}

/* ---- Barriers ---- */

struct barrier { /* as glibc has it */
  unsigned in, round, count;
  int shared;
  unsigned out;
};

static void use_barrier(const void *object, const void *site) {
  const struct barrier *barrier = object;
  struct waiters lost = lost_waiters(object);
  if (barrier->shared != 0 || memory_is_shared(object)) return;
  unsigned there = barrier->in - barrier->round;
  if (there + 1 < barrier->count && is_alone())
    held_stuck(
        &(struct stuck_at){STUCK_BARRIER, KIND_MUTEX, object, NULL, 0, NULL, "pthread_barrier_wait", site, true});
  if (lost.untold > 0) tell_waiters(object, lost.count, true, false, "pthread_barrier_wait", site);
}

EXPORT int pthread_barrier_wait(pthread_barrier_t *barrier) {
  struct thread *thread = held_thread(__func__);
  if (threads_lost != NULL) use_barrier(barrier, SITE);
  set_waits(thread, barrier, STUCK_BARRIER);
  int result = CALL(pthread_barrier_wait)(barrier);
  set_waits(thread, NULL, STUCK_BARRIER);
  return result;
}

EXPORT int pthread_barrier_init(pthread_barrier_t *barrier, const pthread_barrierattr_t *attributes, unsigned count) {
  if (threads_lost != NULL) forget_waiters(barrier);
  return CALL(pthread_barrier_init)(barrier, attributes, count);
}

/* ---- Semaphores: a lock to some (threading.Lock of Python), a signal to others ---- */

static void tell_semaphore(const sem_t *semaphore, const void *site) {
  struct stuck_at at = {STUCK_SEMAPHORE, KIND_SEMAPHORE, semaphore, NULL, 0, NULL, "sem_wait", site, true};
  const struct held *entry = held_by_lost(semaphore, &at.holder);
  if (entry == NULL && has_signal_handler()) return;
  if (entry != NULL) {
    at.what = STUCK_LOCK;
    at.holder_tid = atomic_load(&at.holder->tid);
    at.holder_site = entry->site;
  }
  held_stuck(&at);
}

static int wait_semaphore(sem_t *semaphore, const void *site) {
  if (LIKELY(threads_lost == NULL)) return CALL(sem_wait)(semaphore);
  int saved = errno;
  if (CALL(sem_trywait)(semaphore) == 0) return 0;
  errno = saved;
  if (!may_be_endless() || semaphore_is_shared(semaphore) || memory_is_shared(semaphore))
    return CALL(sem_wait)(semaphore);
  struct timespec limit = in_a_while();
  int result = CALL(sem_clockwait)(semaphore, CLOCK_MONOTONIC, &limit);
  if (result == 0 || errno != ETIMEDOUT) return result;
  if (may_be_endless()) tell_semaphore(semaphore, site);
  return CALL(sem_wait)(semaphore);
}

/* However often the thread waited without posting, there is one entry. */
static void enter_semaphore(struct thread *thread, const sem_t *semaphore, const void *site) {
  held_remove(thread, semaphore);
  held_add(thread, semaphore, site, KIND_SEMAPHORE);
  thread->held[thread->held_count - 1].shared = semaphore_is_shared(semaphore);
  if (UNLIKELY(explore_on)) held_taken(KIND_SEMAPHORE, semaphore);
}

EXPORT int sem_trywait(sem_t *semaphore) {
  int result = CALL(sem_trywait)(semaphore);
  struct thread *thread = held_thread(NULL);
  if (result == 0 && thread != NULL) enter_semaphore(thread, semaphore, SITE);
  return result;
}

#define WAIT_FOR_SEMAPHORE(call)                                                 \
  do {                                                                           \
    struct thread *thread = held_thread(__func__);                               \
    set_waits(thread, semaphore, STUCK_SEMAPHORE);                               \
    int result = call;                                                           \
    set_waits(thread, NULL, STUCK_SEMAPHORE);                                    \
    if (result == 0 && thread != NULL) enter_semaphore(thread, semaphore, SITE); \
    return result;                                                               \
  } while (0)

EXPORT int sem_wait(sem_t *semaphore) {
  WAIT_FOR_SEMAPHORE(wait_semaphore(semaphore, SITE));
}

EXPORT int sem_timedwait(sem_t *semaphore, const struct timespec *limit) {
  WAIT_FOR_SEMAPHORE(CALL(sem_timedwait)(semaphore, limit));
}

EXPORT int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *limit) {
  WAIT_FOR_SEMAPHORE(CALL(sem_clockwait)(semaphore, clock, limit));
}

EXPORT int sem_post(sem_t *semaphore) {
  struct thread *thread = held_thread(NULL);
  if (UNLIKELY(threads_lost != NULL) && thread != NULL) held_forget_not_own(thread, semaphore);
  if (thread != NULL) held_remove(thread, semaphore);
  return CALL(sem_post)(semaphore);
}

EXPORT int sem_init(sem_t *semaphore, int shared, unsigned value) {
  if (threads_lost != NULL) held_forget(semaphore);
  return CALL(sem_init)(semaphore, shared, value);
}

/* ---- Futexes that are waited for by syscall(): what C++ and Rust make their locks and futures of ---- */

static bool is_endless_futex(const long *args) {
  long operation = args[1] & FUTEX_CMD_MASK;
  return (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET) && args[3] == 0 && may_be_endless() &&
         !memory_is_shared((const void *)args[0]);
}

/* Sets errno, as syscall() does. */
long conditions_futex(const long *args, bool *done, const void *site) {
  *done = UNLIKELY(threads_lost != NULL) && !raw_is_confined() && is_endless_futex(args);
  if (!*done) return 0;
  self_goes_on("futex");
  const struct timespec limit = {.tv_sec = GRACE};
  long result = raw_call(SYS_futex, args[0], FUTEX_WAIT_PRIVATE, args[2], (long)&limit, 0, 0);
  if (result == -ETIMEDOUT && may_be_endless() && !has_signal_handler())
    held_stuck(&(struct stuck_at){STUCK_FUTEX, KIND_MUTEX, (const void *)args[0], NULL, 0, NULL, "syscall(SYS_futex)",
                                  site, true});
  if (result == -ETIMEDOUT) result = -EINTR; /* as a spurious wakeup, which every caller has to expect */
  if (result >= 0) return result;
  errno = (int)-result;
  return -1;
}

/* ---- Threads ---- */

static const struct thread *find_lost(pthread_t handle) {
  for (const struct thread *thread = threads_lost; thread != NULL; thread = atomic_load(&thread->next))
    if (thread->handle == (uintptr_t)handle) return thread;
  return NULL;
}

static void use_lost(pthread_t handle, const char *function, const void *site) {
  static const struct thread *_Atomic told; /* a loop may do it again and again */
  const struct thread *lost = find_lost(handle);
  if (lost == NULL || atomic_exchange(&told, lost) == lost) return;
  int saved = errno;
  struct text text = {.size = 0};
  text_add(&text, lost->name);
  text_add(&text, function);
  struct stack stack;
  stack_take_from(&stack, site);
  LOG(RECORD_THREAD_USED, &text, &stack, self_get()->fork, (uint64_t)atomic_load(&lost->tid));
  errno = saved;
}

/* If the C library allocated a thread's stack, fork() marks the thread as ended, and a join returns at once, with a
 * result that no thread gave.  A join of other threads never returns: the thread's number, which the kernel would
 * clear, stays. */
static void join_lost(pthread_t handle, const char *function, const void *site) {
  const struct thread *lost = find_lost(handle);
  if (lost == NULL) return;
  if (CALL(pthread_kill)(handle, 0) != ESRCH) {
    use_lost(handle, function, site);
    return;
  }
  held_stuck(&(struct stuck_at){STUCK_JOIN, KIND_MUTEX, (const void *)handle, lost, atomic_load(&lost->tid), NULL,
                                function, site, true});
}

#define JOIN(call)                                   \
  do {                                               \
    struct thread *me = held_thread(__func__);       \
    join_lost(thread, __func__, SITE);               \
    set_waits(me, (const void *)thread, STUCK_JOIN); \
    int error = call;                                \
    set_waits(me, NULL, STUCK_JOIN);                 \
    return error;                                    \
  } while (0)

EXPORT int pthread_join(pthread_t thread, void **result) {
  JOIN(CALL(pthread_join)(thread, result));
}

EXPORT int thrd_join(thrd_t thread, int *result) {
  JOIN(CALL(thrd_join)(thread, result));
}

EXPORT int pthread_kill(pthread_t thread, int signal) {
  if (UNLIKELY(threads_lost != NULL)) use_lost(thread, __func__, SITE);
  return CALL(pthread_kill)(thread, signal);
}

EXPORT int pthread_sigqueue(pthread_t thread, int signal, const union sigval value) {
  if (UNLIKELY(threads_lost != NULL)) use_lost(thread, __func__, SITE);
  return CALL(pthread_sigqueue)(thread, signal, value);
}

EXPORT int pthread_detach(pthread_t thread) {
  if (UNLIKELY(threads_lost != NULL)) use_lost(thread, __func__, SITE);
  return CALL(pthread_detach)(thread);
}

EXPORT int pthread_tryjoin_np(pthread_t thread, void **result) {
  if (UNLIKELY(threads_lost != NULL)) use_lost(thread, __func__, SITE);
  return CALL(pthread_tryjoin_np)(thread, result);
}

EXPORT int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *limit) {
  if (UNLIKELY(threads_lost != NULL)) use_lost(thread, __func__, SITE);
  return CALL(pthread_timedjoin_np)(thread, result, limit);
}

EXPORT int pthread_cancel(pthread_t thread) {
  if (UNLIKELY(threads_lost != NULL)) use_lost(thread, __func__, SITE);
  return CALL(pthread_cancel)(thread);
}
