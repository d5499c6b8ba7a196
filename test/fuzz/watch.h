/* SPDX-License-Identifier: MIT */
/* A watchdog. */
#ifndef ATFORK_FUZZ_WATCH_H
#define ATFORK_FUZZ_WATCH_H

#include <sys/types.h>

/* Waits for a child, the first of its process group, and then ends what is left of that; NULL, or what it did instead
 * of ending well in time. */
const char *watch(pid_t pid);

/* How long that is. */
extern int watch_patience; /* s, on an idle machine */

#endif
