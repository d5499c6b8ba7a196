/* SPDX-License-Identifier: MIT */
/* The GNU C library: a mutex of any type notes which thread has locked it. */
#define _GNU_SOURCE /* syscall() */
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os.h"

uint64_t atfork_os_mutex_owner(const void *mutex) {
  return (uint64_t)__atomic_load_n(&((const pthread_mutex_t *)mutex)->__data.__owner, __ATOMIC_RELAXED);
}

/* The number that the C library has for this thread.  After a bypassing fork it may still be the parent's. */
static uint64_t own_thread(void) {
  pthread_mutex_t probe = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&probe);
  uint64_t number = atfork_os_mutex_owner(&probe);
  pthread_mutex_unlock(&probe);
  return number;
}

/* If a sandbox forbids the question, the thread counts as alive. */
static bool is_thread_alive(uint64_t thread) {
  return syscall(SYS_tgkill, getpid(), (pid_t)thread, 0) == 0 || errno != ESRCH;
}

/*
 * The owner is read twice: a live owner may have unlocked the mutex and ended in between.  An owner of 0 in a locked
 * mutex: its thread was between locking it and noting itself.
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
