/* SPDX-License-Identifier: MIT */
/* Forks that fail. */
#ifndef ATFORK_FUZZ_LIMIT_H
#define ATFORK_FUZZ_LIMIT_H

#include <stdbool.h>

/* From now on this process's forks fail, or do not; whether they failed before.  Not as root. */
bool limit_forks(bool fail);

/* Becomes a user whose forks can fail. */
void limit_rights(void);

#endif
