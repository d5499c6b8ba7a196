/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <stdio.h>

/* Not g_file_set_contents(): it would replace the file by a new one, even /dev/null. */
gboolean output_write(const char *path, const GString *text) {
  FILE *file = fopen(path, "we");
  gboolean written = file != NULL && fwrite(text->str, 1, text->len, file) == text->len;
  if (file != NULL && fclose(file) != 0) written = FALSE;
  if (!written) g_printerr("atfork: %s: %s\n", path, g_strerror(errno));
  return written;
}
