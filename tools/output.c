/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <stdio.h>

/* g_file_set_contents() would rename a new file onto it, even onto /dev/null. */
gboolean output_write(const char *path, const GString *text) {
  FILE *file = fopen(path, "we");
  gboolean written = file != NULL && fwrite(text->str, 1, text->len, file) == text->len;
  if (file != NULL && fclose(file) != 0) written = FALSE;
  if (!written) g_printerr("atfork: %s: %s\n", path, g_strerror(errno));
  return written;
}
