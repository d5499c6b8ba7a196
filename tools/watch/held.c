/* SPDX-License-Identifier: MIT */
#include "held.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "explore.h"
#include "raw.h"

/* ---- The caller ---- */

/* In a child, locks are checked as long as there are lost threads. */
static bool is_quick(const struct self *self) {
  return !watches(WATCH_EXPLORE) && threads_lost == NULL &&
         (self->how == HOW_ROOT || atomic_load_explicit(&self->went_on, memory_order_relaxed));
}

struct thread *held_enter(const char *function) {
  if (!watches(WATCH_LOCKS | WATCH_EXPLORE)) return NULL;
  int saved = errno;
  struct self *self = self_get();
  struct thread *thread = thread_get();
  if (function != NULL) self_goes_on(function);
  if (is_quick(self)) atomic_store_explicit(&self->quick, true, memory_order_relaxed);
  errno = saved;
  return thread;
}

/* ---- The table ---- */

/* Drops the entries of semaphores, as the thread that waited for one may never post it; if there are none, the oldest
 * entry. */
__attribute__((cold)) void held_make_room(struct thread *thread) {
  unsigned kept = 0;
  for (unsigned i = 0; i < HELD; i++) {
    const struct held *entry = &thread->held[i];
    if (atomic_load(&entry->lock) != NULL && entry->kind != KIND_SEMAPHORE) thread->held[kept++] = *entry;
  }
  if (kept == HELD) memmove(thread->held, thread->held + 1, --kept * sizeof thread->held[0]);
  thread->held_count = kept;
}

__attribute__((cold)) void held_remove_below(struct thread *thread, const void *lock) {
  for (unsigned i = thread->held_count; i > 0; i--) {
    if (atomic_load(&thread->held[i - 1].lock) != lock) continue;
    atomic_store(&thread->held[i - 1].lock, NULL);
    break;
  }
  while (thread->held_count > 0 && atomic_load(&thread->held[thread->held_count - 1].lock) == NULL)
    thread->held_count--;
}

/* ---- Memory ---- */

/* If a lost thread was in the middle of an unlock, the memory of the lock may be gone. */
static bool is_mapped(const void *address) {
  unsigned char resident;
  uintptr_t page = (uintptr_t)address & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
  return raw_call(SYS_mincore, (long)page, 1, (long)&resident, 0, 0, 0) == 0;
}

struct maps {
  int fd;
  char buffer[1024];
  long size, at;
};

static int next_char(struct maps *maps) {
  if (maps->at >= maps->size) {
    maps->size = raw_read(maps->fd, maps->buffer, sizeof maps->buffer);
    maps->at = 0;
    if (maps->size <= 0) return -1;
  }
  return maps->buffer[maps->at++];
}

static uintptr_t next_number(struct maps *maps) {
  uintptr_t number = 0;
  for (int c = next_char(maps); c >= '0' && c <= 'f'; c = next_char(maps))
    number = number * 16 + (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
  return number;
}

/* A line of /proc/self/maps: "first-end rwxs ...". */
bool memory_is_shared(const void *address) {
  struct maps maps = {.fd = raw_open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
  bool shared = false;
  if (maps.fd < 0) return false;
  for (int c = 0; c >= 0;) {
    uintptr_t first = next_number(&maps), end = next_number(&maps);
    for (int i = 0; i < 4 && c >= 0; i++) c = next_char(&maps);
    if (c >= 0 && (uintptr_t)address >= first && (uintptr_t)address < end) {
      shared = c == 's';
      break;
    }
    while (c >= 0 && c != '\n') c = next_char(&maps);
  }
  raw_close(maps.fd);
  return shared;
}

/* ---- Which thread holds a lock, by the lock's own memory ---- */

enum { MUTEX_ROBUST = 16, MUTEX_PROTECT = 64, MUTEX_SHARED = 128, MUTEX_TYPE = 3, READER_SHIFT = 3 };

/* 0: no thread, or one of another process; -1: a thread in the middle of taking or releasing it.  A robust mutex is
 * always marked as shared. */
static pid_t mutex_owner(const pthread_mutex_t *mutex) {
  int kind = mutex->__data.__kind;
  if (mutex->__data.__lock == 0 || (kind & (MUTEX_ROBUST | MUTEX_SHARED)) == MUTEX_SHARED) return 0;
  pid_t owner = mutex->__data.__owner;
  return owner != 0 ? owner : (kind & MUTEX_PROTECT) != 0 ? 0 : -1;
}

struct stream_lock { /* of a FILE, as glibc has it */
  int lock, count;
  const void *owner;
};

static const void *stream_owner(const FILE *stream) {
  const struct stream_lock *lock = stream->_lock;
  return lock == NULL || lock->lock == 0 ? NULL : lock->owner;
}

static bool spin_is_locked(const pthread_spinlock_t *lock) {
#if defined __x86_64__
  return *lock != 1;
#else
  return *lock != 0;
#endif
}

static unsigned living_readers(const void *lock) {
  unsigned count = 0;
  for (struct thread *thread = atomic_load(&threads_live); thread != NULL; thread = atomic_load(&thread->next))
    for (unsigned i = 0; i < thread->held_count; i++)
      count += atomic_load(&thread->held[i].lock) == lock && thread->held[i].kind == KIND_READ;
  return count;
}

static bool has_lost_reader(const pthread_rwlock_t *lock) {
  return lock->__data.__shared == 0 && lock->__data.__readers >> READER_SHIFT > living_readers(lock);
}

bool semaphore_is_shared(const void *semaphore) {
  int word; /* behind the value and the number of waiters: FUTEX_PRIVATE_FLAG turned round */
  memcpy(&word, (const char *)semaphore + sizeof(uint64_t), sizeof word);
  return word != 0;
}

static bool is_for_processes(const struct held *entry) {
  const void *lock = atomic_load_explicit(&entry->lock, memory_order_relaxed);
  if (lock == NULL) return false;
  switch (entry->kind) {
    case KIND_MUTEX:
      return (((const pthread_mutex_t *)lock)->__data.__kind & MUTEX_SHARED) != 0;
    case KIND_READ:
    case KIND_WRITE:
      return ((const pthread_rwlock_t *)lock)->__data.__shared != 0;
    case KIND_SEMAPHORE:
      return entry->shared; /* another thread may have posted it, and freed its memory */
    default:
      return false;
  }
}

bool locks_hold_shared(void) {
  const struct thread *thread = thread_current;
  for (unsigned i = 0; thread != NULL && i < thread->held_count; i++)
    if (is_for_processes(&thread->held[i])) return true;
  return false;
}

/* Whether the lost thread really holds the lock of this entry. */
static bool holds(const struct thread *thread, const struct held *entry) {
  const void *lock = atomic_load_explicit(&entry->lock, memory_order_relaxed);
  if (lock == NULL || !is_mapped(lock)) return false;
  switch (entry->kind) {
    case KIND_MUTEX:
      return mutex_owner(lock) == atomic_load(&thread->tid);
    case KIND_WRITE:
      return ((const pthread_rwlock_t *)lock)->__data.__cur_writer == atomic_load(&thread->tid) &&
             ((const pthread_rwlock_t *)lock)->__data.__shared == 0;
    case KIND_READ:
      return has_lost_reader(lock);
    case KIND_SPIN:
      return spin_is_locked(lock);
    default:
      return true;
  }
}

/* ---- Lost threads ---- */

static struct held *find_entry(const struct thread *thread, const void *lock) {
  for (unsigned i = 0; i < thread->held_count; i++)
    if (atomic_load_explicit(&thread->held[i].lock, memory_order_relaxed) == lock)
      return (struct held *)(uintptr_t)&thread->held[i];
  return NULL;
}

const struct held *held_by_lost(const void *lock, const struct thread **holder) {
  for (const struct thread *thread = threads_lost; thread != NULL; thread = atomic_load(&thread->next)) {
    const struct held *entry = find_entry(thread, lock);
    if (entry == NULL || !holds(thread, entry)) continue;
    *holder = thread;
    return entry;
  }
  return NULL;
}

void held_forget(const void *lock) {
  for (const struct thread *thread = threads_lost; thread != NULL; thread = atomic_load(&thread->next)) {
    struct held *entry = find_entry(thread, lock);
    if (entry == NULL) continue;
    if (entry->told) LOG(RECORD_LOCK_ANEW, NULL, NULL, self_page->fork, (uint64_t)(uintptr_t)lock);
    atomic_store(&entry->lock, NULL);
  }
}

void held_forget_not_own(const struct thread *thread, const void *lock) {
  if (find_entry(thread, lock) == NULL) held_forget(lock);
}

void held_taken(enum lock_kind kind, const void *lock) {
  if (threads_lost != NULL && kind != KIND_READ) held_forget(lock);
  if (explore_on) explore_taken(kind, lock);
}

static bool lives(pid_t tid) {
  for (struct thread *thread = atomic_load(&threads_live); thread != NULL; thread = atomic_load(&thread->next))
    if (atomic_load(&thread->tid) == tid) return true;
  return false;
}

/* ---- Waiting for one ---- */

void stack_take_from(struct stack *stack, const void *site) {
  stack_take(stack);
  unsigned first = 0;
  while (first < stack->count && stack->frames[first] != (uintptr_t)site - 1) first++;
  if (first == stack->count) return;
  stack->count -= first;
  memmove(stack->frames, stack->frames + first, stack->count * sizeof stack->frames[0]);
}

void held_stuck(const struct stuck_at *at) {
  struct text text = {.size = 0};
  text_add(&text, at->holder == NULL ? "" : at->holder->name);
  text_add(&text, at->function);
  struct stack stack;
  stack_take_from(&stack, at->site);
  LOG(RECORD_STUCK, &text, &stack, self_get()->fork, at->what, (uint64_t)(uintptr_t)at->object, at->kind,
      (uint64_t)at->holder_tid, (uint64_t)(uintptr_t)at->holder_site, at->ends);
  if (at->ends) raw_exit(125);
}

/* The forking thread took this mutex before the fork, and has another number now: the mutex has a different owner. */
static bool is_own_of_before(const pthread_mutex_t *mutex, pid_t owner) {
  return (mutex->__data.__kind & MUTEX_TYPE) != 0 && (mutex->__data.__kind & MUTEX_TYPE) != 3 && owner > 0 &&
         !lives(owner) && find_entry(thread_get(), mutex) != NULL;
}

static bool find_mutex_holder(const pthread_mutex_t *mutex, struct stuck_at *at) {
  pid_t owner = mutex_owner(mutex);
  if (owner == 0) return false;
  at->holder_tid = owner;
  if (owner < 0) {
    const struct held *entry = threads_others() == 0 ? held_by_lost(mutex, &at->holder) : NULL;
    return entry != NULL;
  }
  at->holder = lives(owner) ? NULL : threads_find_lost(owner);
  const struct thread *has = at->holder;
  if (has == NULL && is_own_of_before(mutex, owner)) has = at->holder = thread_get();
  const struct held *entry = has == NULL ? NULL : find_entry(has, mutex);
  if (entry != NULL) at->holder_site = entry->site;
  return has != NULL;
}

static const struct thread *lost_with_handle(const void *handle) {
  for (const struct thread *thread = threads_lost; thread != NULL; thread = atomic_load(&thread->next))
    if (handle != NULL && thread->handle == (uintptr_t)handle) return thread;
  return NULL;
}

static bool find_by_entry(const void *lock, struct stuck_at *at) {
  const struct held *entry = held_by_lost(lock, &at->holder);
  if (entry == NULL) return false;
  at->holder_tid = atomic_load(&at->holder->tid);
  at->holder_site = entry->site;
  return true;
}

/* Readers do not wait for readers, except if a lost writer was waiting, and has priority. */
static bool readers_wait(const pthread_rwlock_t *lock) {
  enum { WRITER_WAITS = 2 };
  return lock->__data.__flags == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP &&
         (lock->__data.__readers & WRITER_WAITS) != 0;
}

static bool find_holder(enum lock_kind kind, const void *lock, struct stuck_at *at) {
  switch (kind) {
    case KIND_MUTEX:
      return find_mutex_holder(lock, at);
    case KIND_READ: {
      const struct held *entry = held_by_lost(lock, &at->holder);
      return entry != NULL && (entry->kind == KIND_WRITE || readers_wait(lock)) && find_by_entry(lock, at);
    }
    case KIND_FILE:
      at->holder = lost_with_handle(stream_owner(lock));
      return at->holder != NULL && (find_by_entry(lock, at) || true);
    default:
      return find_by_entry(lock, at);
  }
}

__attribute__((cold)) void held_check(enum lock_kind kind, const void *lock, const char *function, const void *site,
                                      bool timed) {
  if (explore_on) explore_waits(lock);
  if (threads_lost == NULL) return;
  int saved = errno;
  struct stuck_at at = {STUCK_LOCK, kind, lock, NULL, 0, NULL, function, site, !timed};
  static const void *_Atomic told; /* a timed wait may be repeated */
  if ((!timed || atomic_load(&told) != lock) && find_holder(kind, lock, &at) && !memory_is_shared(lock)) {
    atomic_store(&told, lock);
    held_stuck(&at);
  }
  errno = saved;
}

/* ---- At a fork, and when its child goes on ---- */

static void tell_held(uint64_t id, const struct thread *thread, struct held *entry) {
  const void *lock = atomic_load(&entry->lock);
  if (entry->kind == KIND_SEMAPHORE || !holds(thread, entry) || memory_is_shared(lock)) return;
  entry->told = true;
  struct text text = {.size = 0};
  text_add(&text, thread->name);
  LOG(RECORD_LOCK_HELD, &text, NULL, id, entry->kind, (uint64_t)(uintptr_t)lock, (uint64_t)atomic_load(&thread->tid),
      (uint64_t)(uintptr_t)entry->site);
}

/* fork() initialises the locks of all streams; calls that bypass it do not. */
static void tell_streams(uint64_t id) {
  FILE *const streams[] = {stdin, stdout, stderr};
  for (unsigned i = 0; i < sizeof streams / sizeof streams[0]; i++) {
    const struct thread *thread = lost_with_handle(stream_owner(streams[i]));
    if (thread == NULL || find_entry(thread, streams[i]) != NULL) continue;
    struct text text = {.size = 0};
    text_add(&text, thread->name);
    LOG(RECORD_LOCK_HELD, &text, NULL, id, KIND_FILE, (uint64_t)(uintptr_t)streams[i],
        (uint64_t)atomic_load(&thread->tid), 0);
  }
}

/* The first lost thread whose locks are recorded already.  New ones are at the head of the list, with those of a parent
 * that did not go on. */
static const struct thread *told_until;

void locks_go_on(uint64_t id) {
  for (struct thread *thread = threads_lost; thread != told_until; thread = atomic_load(&thread->next))
    for (unsigned i = 0; i < thread->held_count; i++)
      if (atomic_load(&thread->held[i].lock) != NULL) tell_held(id, thread, &thread->held[i]);
  if (told_until != threads_lost) tell_streams(id);
  told_until = threads_lost;
}
