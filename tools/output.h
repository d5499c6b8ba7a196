/* SPDX-License-Identifier: MIT */
/* Files that the user has named. */
#ifndef ATFORK_OUTPUT_H
#define ATFORK_OUTPUT_H

#include <glib.h>

/* Writes the text into the file, which is made if it is not there.  One that is there stays what it is: a device, a
 * FIFO, another name's link.  FALSE: it could not be written, which was said. */
gboolean output_write(const char *path, const GString *text);

#endif
