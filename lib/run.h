/* SPDX-License-Identifier: MIT */
/* The number that names a run of the whole tree of processes: from the environment variable ATFORK_RUN, or drawn. */
#ifndef ATFORK_RUN_H
#define ATFORK_RUN_H

#include <stdbool.h>
#include <stdint.h>

/* Reads ATFORK_RUN; false if it is not set, or not a number. */
bool atfork_run_given(uint64_t *run);

/* For the root: the number in ATFORK_RUN, or one that the system draws.  Complains if ATFORK_RUN is not a number. */
uint64_t atfork_run_first(void);

#endif
