/* SPDX-License-Identifier: MIT */
/*
 * How many threads this process has.
 */
#ifndef ATFORK_LUA_THREADS_H
#define ATFORK_LUA_THREADS_H

#include <stdbool.h>

/* Whether it never had another than this one, as far as the C library says; a child inherits the answer. */
bool threads_is_first(void);

/* Whether it has this one alone; false if that is not known.  Allocates nothing, and leaves errno alone. */
bool threads_is_one(void);

#endif
