/* SPDX-License-Identifier: MIT */
/* Mutexes that do not tell which thread has locked them. */
#include "os.h"

uint64_t os_mutex_owner(const void *mutex) {
  (void)mutex;
  return 0;
}
