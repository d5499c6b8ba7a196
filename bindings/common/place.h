/* SPDX-License-Identifier: MIT */
/* The words for a place; and the warning where the place is a guess. */
#ifndef ATFORK_COMMON_PLACE_H
#define ATFORK_COMMON_PLACE_H

#include <stdbool.h>

/* Indexed by enum atfork_place, as scripts see them. */
extern const char *const place_words[];

/* True once in each process whose place is a guess: the caller then warns.  Thread-safe. */
bool place_is_to_be_warned_of(void);

#endif
