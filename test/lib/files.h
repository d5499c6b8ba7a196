/* SPDX-License-Identifier: MIT */
/* Reads, changes and rewrites files for a test. */
#ifndef ATFORK_TEST_FILES_H
#define ATFORK_TEST_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* All of a file, which free() frees; NULL when it cannot be had. */
char *read_file(const char *path, size_t *size);
bool write_file(const char *path, const char *contents, size_t size);

#endif
