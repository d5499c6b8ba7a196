/* SPDX-License-Identifier: MIT */
#include "programs.h"

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sets the variables, or takes them away again. */
static void set_all(const char *const *set, bool are_there) {
  for (; set != NULL && *set != NULL; set++) {
    size_t length = strcspn(*set, "=");
    char *name = calloc(1, length + 1);
    g_assert_nonnull(name);
    memcpy(name, *set, length);
    set_variable(name, are_there ? *set + length + 1 : NULL);
    free(name);
  }
}

/* All that comes, with lines that end in a newline alone, as on POSIX. */
static char *read_all(int from) {
  size_t length = 0, room = 4096;
  char *text = malloc(room);
  g_assert_nonnull(text);
  for (long some; (some = (long)read(from, text + length, (unsigned)(room - length - 1))) > 0;) {
    length += (size_t)some;
    if (length + 1 == room) text = realloc(text, room *= 2);
    g_assert_nonnull(text);
  }
  close(from);
  char *end = text;
  for (size_t at = 0; at < length; at++)
    if (text[at] != '\r') *end++ = text[at];
  *end = '\0';
  return text;
}

int run_program(const char *const *arguments, const char *const *set, char **out, char **err) {
  int ends[2], complaints = err == NULL ? STDERR_FILENO : open_temporary();
  g_assert_true(complaints >= 0 && open_pipe(ends) == 0);
  set_all(set, true);
  intptr_t started = start_program(arguments, ends[1], complaints);
  set_all(set, false);
  close(ends[1]);
  *out = read_all(ends[0]);
  int status = wait_for_program(started);
  if (err != NULL) {
    g_assert_cmpint(lseek(complaints, 0, SEEK_SET), ==, 0);
    *err = read_all(complaints);
  }
  if (status < 0) g_error("%s was not started, or ended by a signal: %s", arguments[0], err == NULL ? "" : *err);
  return status;
}

void expect_program_passes(const char *const *arguments, char **out, char **err) {
  char *complaint;
  int status = run_program(arguments, NULL, out, &complaint);
  if (status != 0) g_error("%s ended with %d: %s", arguments[0], status, complaint);
  if (err != NULL)
    *err = complaint;
  else
    free(complaint);
}

static size_t count_lines(const char *text) {
  size_t count = 0;
  for (; *text != '\0'; text++) count += *text == '\n' || text[1] == '\0';
  return count;
}

char **lines_of(const char *text, size_t *count) {
  *count = count_lines(text);
  char **lines = malloc((*count + 1) * sizeof *lines + strlen(text) + 1);
  g_assert_nonnull(lines);
  char *at = strcpy((char *)(lines + *count + 1), text);
  for (size_t i = 0; i < *count; i++) {
    lines[i] = at;
    at += strcspn(at, "\n");
    *at++ = '\0';
  }
  lines[*count] = NULL;
  return lines;
}
