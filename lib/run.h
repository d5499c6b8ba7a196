/* SPDX-License-Identifier: MIT */
/* The number that names a run of the whole tree of processes: from the environment's ATFORK_RUN, or drawn. */
#ifndef ATFORK_RUN_H
#define ATFORK_RUN_H

#include <stdbool.h>
#include <stdint.h>

/* What the environment says; false if it says nothing, or what is no number. */
bool atfork_run_given(uint64_t *run);

/* For the root: that, or a number that the system draws.  Complains of what is no number. */
uint64_t atfork_run_first(void);

#endif
