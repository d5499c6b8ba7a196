/* SPDX-License-Identifier: MIT */
/*
 * Hooks that note what ran, a letter each.
 */
#ifndef ATFORK_TEST_NOTES_H
#define ATFORK_TEST_NOTES_H

#include <stdbool.h>

/* What has been noted; begun anew by trace[0] = '\0'. */
extern char trace[512];

void note(const char *what);

/* How often the hooks that try will say "not now". */
extern int refusals;

/* Each has "X\0x" as data: prepared as X, parent as x. */
void add(const char *data, int priority, bool tries);
void prepare(void *data);
void parent(void *data);

#endif
