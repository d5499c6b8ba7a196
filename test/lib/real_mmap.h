/* SPDX-License-Identifier: MIT */
/* What a test's own mmap() calls, in a program that is linked with --wrap=mmap. */
#ifndef ATFORK_TEST_REAL_MMAP_H
#define ATFORK_TEST_REAL_MMAP_H

#include <sys/mman.h>

/* glibc's takes a long, whatever off_t is: it is mmap64() that takes off_t. */
#ifdef __GLIBC__
typedef long real_offset;
#else
typedef off_t real_offset;
#endif

void *__real_mmap(void *at, size_t size, int protection, int flags, int file, real_offset offset);

#endif
