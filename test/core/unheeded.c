/* SPDX-License-Identifier: MIT */
/* Linked into a test: a system that answers 0 to any advice and follows none, as qemu-user does. */
#include <stddef.h>

int __wrap_madvise(void *pages, size_t size, int advice);

int __wrap_madvise(void *pages, size_t size, int advice) {
  (void)pages;
  (void)size;
  (void)advice;
  return 0;
}
