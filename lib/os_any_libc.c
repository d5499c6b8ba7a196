/* SPDX-License-Identifier: MIT */
/* Other C libraries, such as musl: a mutex does not show which thread has locked it. */
#include "os.h"

uint64_t atfork_os_mutex_owner(const void *mutex) {
  (void)mutex;
  return 0;
}

/* True if this thread is the only one.  It may have locked the mutex itself before the fork, but a lost thread is more
 * likely. */
bool atfork_os_mutex_is_orphaned(void *mutex) {
  (void)mutex;
  return atfork_os_is_single_threaded();
}

/* In musl a nested fork begins in the list of handlers where the outer fork stands. */
bool atfork_os_nests_forks(void) {
  return false;
}
