/* SPDX-License-Identifier: MIT */
/* Linked into a test: a kernel that cannot wipe pages at fork, as before Linux 4.14. */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

int __real_madvise(void *pages, size_t size, int advice);
int __wrap_madvise(void *pages, size_t size, int advice);

int __wrap_madvise(void *pages, size_t size, int advice) {
  if (advice != MADV_WIPEONFORK) return __real_madvise(pages, size, advice);
  errno = EINVAL;
  return -1;
}
