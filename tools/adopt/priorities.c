/* SPDX-License-Identifier: MIT */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "adopt.h"
#include "environment.h"

static char *lines, *lines_end; /* each ends with a NUL */

void adopt_read_priorities(void) {
  const char *text = getenv(ADOPT_PRIORITIES);
  size_t size = text == NULL ? 0 : strlen(text) + 1;
  if (size == 0) return;
  void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy == MAP_FAILED) return;
  memcpy(copy, text, size);
  lines = copy;
  lines_end = lines + size;
  for (char *at = lines; (at = strchr(at, '\n')) != NULL;) *at++ = '\0';
}

/* A pattern with no slash is of the file's name. */
static bool matches(const char *pattern, const char *path) {
  return fnmatch(pattern, strchr(pattern, '/') != NULL ? path : adopt_name(path), 0) == 0;
}

int adopt_priority(const char *path) {
  for (const char *line = lines; line < lines_end; line += strlen(line) + 1) {
    char *pattern;
    long priority = strtol(line, &pattern, 10);
    if (*pattern == ' ' && matches(pattern + 1, path)) return (int)priority;
  }
  return 0;
}
