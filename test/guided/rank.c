/* SPDX-License-Identifier: MIT */
/*
 * Ranks: what atfork_adopt(), atfork_launcher() and atfork_run() make of any text and any environment.
 *
 * An input is lines: NAME=VALUE for the environment, where only names that the library knows are set; any other line is
 * given to atfork_adopt().
 */
#include <atfork.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"
#include "reference.h"
#include "streams.h"
#include "target.h"

/* The environment of an input, in the place of the process's own: setenv() never frees what it was given. */
enum { NAMES = 64 };
static char *variables[NAMES + 1];

/* ---- The environment ---- */

static bool is_set(const char *line, size_t length) {
  for (char **variable = variables; *variable != NULL; variable++)
    if (strncmp(*variable, line, length + 1) == 0) return true;
  return false;
}

/* The first of a name counts. */
static void set(char *line) {
  size_t length = strcspn(line, "=");
  if (!launcher_knows(line, length) || is_set(line, length)) return;
  int count = 0;
  while (variables[count] != NULL) count++;
  variables[count] = line;
}

/* Parts `input`; what is no variable, or NULL. */
static char *read_lines(char *input) {
  char *rank = NULL, *next = input;
  memset(variables, 0, sizeof variables);
  while (next != NULL) {
    char *line = next;
    next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    if (strchr(line, '=') != NULL)
      set(line);
    else if (rank == NULL && (next != NULL || *line != '\0'))
      rank = line;
  }
  return rank;
}

/* ---- What must hold ---- */

static void expect_shown(const char *text, size_t size) {
  size_t length = strlen(text), shown = length < size ? length : size - 1;
  char *buf = malloc(size == 0 ? 1 : size);
  expect(buf != NULL);
  expect(atfork_launcher(size == 0 ? NULL : buf, size) == (int)length);
  if (size > 0) expect(memcmp(buf, text, shown) == 0 && buf[shown] == '\0');
  free(buf);
}

static void try_launcher(void) {
  static char text[LAUNCHER_TEXT_SIZE];
  launcher_show(text);
  size_t length = strlen(text);
  const size_t sizes[] = {0, 1, length / 2, length, length + 1, length + 7};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) expect_shown(text, sizes[i]);
  place_expect_root();
}

static void try_adopt(const char *rank, int expected, uint64_t number) {
  char lineage[32], token[LONGEST_TOKEN], text[LONGEST_TOKEN];
  uint64_t run = place_run;
  launcher_run(&run);
  errno = 77;
  int result = atfork_adopt(rank);
  expect(result == (expected == 0 ? 0 : -1) && errno == (expected == 0 ? 77 : expected));
  if (expected != 0) {
    place_expect_root();
    return;
  }
  snprintf(lineage, sizeof lineage, "0.r%" PRIu64, number);
  place_expect(ATFORK_ADOPTED, 1, lineage, run);
  place_expect_settled();
  struct reference_token said = {.run = run, .generation = 1}, child;
  memcpy(said.lineage, lineage, sizeof lineage);
  child = reference_child(&said, 1);
  expect(atfork_token(token, sizeof token) == (int)reference_write(text, &child) && strcmp(token, text) == 0);
  place_restore();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint64_t number = 0;
  char *input = text_of(data, size);
  char *rank = read_lines(input);
  char **before = environ;
  environ = variables;
  try_launcher();
  int expected = launcher_rank(&number);
  try_adopt(NULL, expected, number);
  if (rank != NULL) {
    bool is_rank = stream_number(rank, &number);
    try_adopt(rank, is_rank ? 0 : EINVAL, number);
  }
  environ = before;
  free(input);
  return 0;
}
