/* SPDX-License-Identifier: MIT */
/* The GNU C library: its mutexes note the thread that has locked them, whatever their type. */
#define _GNU_SOURCE /* syscall() */
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os.h"

uint64_t atfork_os_mutex_owner(const void *mutex) {
  return (uint64_t)__atomic_load_n(&((const pthread_mutex_t *)mutex)->__data.__owner, __ATOMIC_RELAXED);
}

/* What the C library takes this thread's number for: after a bypassing fork that may be the parent's still. */
static uint64_t own_thread(void) {
  pthread_mutex_t probe = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&probe);
  uint64_t number = atfork_os_mutex_owner(&probe);
  pthread_mutex_unlock(&probe);
  return number;
}

/* Where a sandbox forbids to ask, it may be. */
static bool is_thread_alive(uint64_t thread) {
  return syscall(SYS_tgkill, getpid(), (pid_t)thread, 0) == 0 || errno != ESRCH;
}

/*
 * The owner is noted an instant after the mutex is locked, and a thread may have been stopped in between.  And asked
 * for again: one that was alive may have unlocked it, and ended.
 */
bool atfork_os_mutex_is_orphaned(void *mutex) {
  uint64_t owner = atfork_os_mutex_owner(mutex);
  if (owner == 0) return atfork_os_is_single_threaded();
  if (owner == own_thread() || is_thread_alive(owner)) return false;
  return atfork_os_mutex_owner(mutex) == owner;
}

bool atfork_os_nests_forks(void) {
  return true;
}
