/* SPDX-License-Identifier: MIT */
/* Files that the user has named. */
#ifndef ATFORK_OUTPUT_H
#define ATFORK_OUTPUT_H

#include <glib.h>

/* Writes the text to the file, and makes the file if necessary.  An existing device, FIFO or link stays what it is.
 * FALSE, after a message: it could not be written. */
gboolean output_write(const char *path, const GString *text);

#endif
