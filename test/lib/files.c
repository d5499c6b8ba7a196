/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <stdio.h>
#include <stdlib.h>

char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) return NULL;
  *size = (size_t)ftell(file);
  rewind(file);
  char *contents = malloc(*size);
  bool is_whole = contents != NULL && fread(contents, 1, *size, file) == *size;
  fclose(file);
  if (is_whole) return contents;
  free(contents);
  return NULL;
}

bool write_file(const char *path, const char *contents, size_t size) {
  FILE *file = fopen(path, "wb");
  if (file == NULL) return false;
  bool is_whole = fwrite(contents, 1, size, file) == size;
  return fclose(file) == 0 && is_whole;
}
