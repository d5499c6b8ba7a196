/* SPDX-License-Identifier: MIT */
/* Mutexes of the GNU C library, which note the thread that has locked them, whatever their type. */
#include <pthread.h>

#include "os.h"

uint64_t os_mutex_owner(const void *mutex) {
  return (uint64_t)__atomic_load_n(&((const pthread_mutex_t *)mutex)->__data.__owner, __ATOMIC_RELAXED);
}
