/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

gboolean output_is_possible(const char *path) {
  if (path == NULL || strcmp(path, "-") == 0) return TRUE;
  g_autofree char *directory = g_path_get_dirname(path);
  int error = access(path, W_OK) == 0 ? 0 : errno;
  if (error == ENOENT && *path != '\0') error = access(directory, W_OK) == 0 ? 0 : errno;
  if (g_file_test(path, G_FILE_TEST_IS_DIR)) error = EISDIR;
  if (error != 0) g_printerr("atfork: %s: %s\n", path, g_strerror(error));
  return error == 0;
}

void output_survive_limit(void) {
  signal(SIGXFSZ, SIG_IGN);
}

/* Not g_file_set_contents(): it would replace the file by a new one, even /dev/null. */
gboolean output_write(const char *path, const GString *text) {
  FILE *file = fopen(path, "we");
  gboolean written = file != NULL && fwrite(text->str, 1, text->len, file) == text->len;
  if (file != NULL && fclose(file) != 0) written = FALSE;
  if (!written) g_printerr("atfork: %s: %s\n", path, g_strerror(errno));
  return written;
}
