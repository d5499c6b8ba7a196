/* SPDX-License-Identifier: MIT */
/* How a process has come to its place, in words; and who is told that it is a guess. */
#ifndef ATFORK_COMMON_PLACE_H
#define ATFORK_COMMON_PLACE_H

#include <stdbool.h>

/* By enum atfork_place, as scripts know them. */
extern const char *const place_words[];

/* True once in each process whose place is a guess: whoever asks warns.  Thread-safe. */
bool place_is_to_be_warned_of(void);

#endif
