/* SPDX-License-Identifier: MIT */
/* Files that the user has named. */
#ifndef ATFORK_OUTPUT_H
#define ATFORK_OUTPUT_H

#include <glib.h>

/* FALSE, after a message: the file cannot be written.  NULL and "-" name none.  Nothing is written: to be asked before
 * a command runs for hours. */
gboolean output_is_possible(const char *path);

/* What is longer than `ulimit -f` allows cannot be written, and does not end us.  To be called when the command runs,
 * which must not inherit this. */
void output_survive_limit(void);

/* Writes the text to the file, and makes the file if necessary.  An existing device, FIFO or link stays what it is.
 * FALSE, after a message: it could not be written. */
gboolean output_write(const char *path, const GString *text);

#endif
