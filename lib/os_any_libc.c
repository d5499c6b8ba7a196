/* SPDX-License-Identifier: MIT */
/* Other C libraries, musl above all: their mutexes do not tell which thread has locked them. */
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

/* musl begins where the outer fork stands in the list of handlers. */
bool atfork_os_nests_forks(void) {
  return false;
}
