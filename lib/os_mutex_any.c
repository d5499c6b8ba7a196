/* SPDX-License-Identifier: MIT */
/* Mutexes that do not tell which thread has locked them. */
#include "os.h"

uint64_t atfork_os_mutex_owner(const void *mutex) {
  (void)mutex;
  return 0;
}

/* Where there is no other thread: this one may have locked it, before the fork, but more likely one that is gone. */
bool atfork_os_mutex_is_orphaned(void *mutex) {
  (void)mutex;
  return atfork_os_is_single_threaded();
}
