/* SPDX-License-Identifier: MIT */
/* Text that others wrote (names of threads and files, arguments), for a terminal. */
#ifndef ATFORK_CLEAN_H
#define ATFORK_CLEAN_H

#include <glib.h>

/* Appends it as UTF-8; control characters become question marks.  NULL is "". */
void clean_add(GString *to, const char *text);

#endif
