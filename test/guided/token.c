/* SPDX-License-Identifier: MIT */
/*
 * Tokens: what atfork_spawned() and atfork_child_token() make of any text.
 *
 * An input is a number, a line feed, and text.  The text is given as it is, and once more with the digest behind it
 * that would make it a token if all before were right: no mutation finds that.
 */
#include <atfork.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"
#include "reference.h"
#include "streams.h"
#include "target.h"

/* ---- atfork_child_token() ---- */

/* As snprintf(): into memory of just this size, which the sanitizer watches. */
static void expect_written(const char *token, uint64_t number, const char *text, size_t length, size_t size) {
  char *buf = malloc(size == 0 ? 1 : size);
  expect(buf != NULL);
  expect(atfork_child_token(token, number, size == 0 ? NULL : buf, size) == (int)length);
  size_t shown = length < size ? length : size - 1;
  if (size > 0) expect(memcmp(buf, text, shown) == 0 && buf[shown] == '\0');
  free(buf);
}

static void expect_refused(const char *token, uint64_t number) {
  static const char before[] = "untouched";
  char buf[LONGEST_TOKEN];
  memcpy(buf, before, sizeof before);
  errno = 0;
  expect(atfork_child_token(token, number, buf, sizeof buf) == -1 && errno == EINVAL);
  expect(memcmp(buf, before, sizeof before) == 0);
}

static void try_children(const char *token, const struct reference_token *said, uint64_t number) {
  const uint64_t deepest = UINT64_C(1) << 63;
  char text[LONGEST_TOKEN];
  struct reference_token child, read;
  expect_refused(token, 0);
  if (said->generation == deepest || number == 0) {
    expect_refused(token, number);
    return;
  }
  child = reference_child(said, number);
  size_t length = reference_write(text, &child);
  const size_t sizes[] = {0, 1, number % LONGEST_TOKEN, length, length + 1, LONGEST_TOKEN};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) expect_written(token, number, text, length, sizes[i]);
  expect(reference_read(text, &read) && strcmp(read.lineage, child.lineage) == 0);
  errno = 0;
  expect(atfork_child_token(token, number, NULL, 1) == -1 && errno == EINVAL);
}

/* ---- atfork_spawned() ---- */

/* What this process spawns now is its child, of the next number: which the root had given, so that none is given twice.
 */
static void expect_next_token(const struct reference_token *said) {
  const uint64_t deepest = UINT64_C(1) << 63;
  char token[LONGEST_TOKEN], text[LONGEST_TOKEN];
  if (said->generation == deepest) return;
  struct reference_token child = reference_child(said, 1);
  size_t length = reference_write(text, &child);
  expect(atfork_token(token, sizeof token) == (int)length && strcmp(token, text) == 0);
}

static void expect_place(const struct reference_token *said) {
  place_expect(ATFORK_SPAWNED, said->generation, said->lineage, said->run);
  expect(atfork_seed(42) == stream_seed(42, said->lineage, strlen(said->lineage)));
  place_expect_settled();
  expect_next_token(said);
}

/* By argument, or by an environment that has nothing else. */
static int spawned(const char *token, bool by_environment) {
  if (!by_environment) return atfork_spawned(token);
  static char variable[1 << 16];
  char *variables[] = {variable, NULL}, **before = environ;
  snprintf(variable, sizeof variable, "ATFORK_TOKEN=%s", token);
  environ = variables;
  int result = atfork_spawned(NULL);
  expect((variables[0] == NULL) == (result == 0));
  environ = before;
  return result;
}

static void try_spawned(const char *token, const struct reference_token *said, bool by_environment) {
  errno = 77;
  int result = spawned(token, by_environment);
  expect(result == (said != NULL ? 0 : -1) && errno == (said != NULL ? 77 : EINVAL));
  if (said != NULL)
    expect_place(said);
  else
    place_expect_root();
  place_restore();
}

static void try_token(const char *token, uint64_t number) {
  struct reference_token said;
  bool is_token = reference_read(token, &said);
  if (is_token)
    try_children(token, &said, number);
  else
    expect_refused(token, number);
  place_expect_root();
  try_spawned(token, is_token ? &said : NULL, false);
  try_spawned(token, is_token ? &said : NULL, true);
  expect(atfork_run() == place_run);
}

static void try_with_digest(const char *text, uint64_t number) {
  size_t length = strlen(text);
  char *token = malloc(length + DIGITS + 1);
  expect(token != NULL);
  sprintf(token, "%s%016llx", text, (unsigned long long)stream_seed(0, text, length));
  try_token(token, number);
  free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *input = text_of(data, size);
  char *text = input;
  uint64_t number = strtoull(input, &text, 10);
  if (*text == '\n') text++;
  try_token(text, number);
  try_with_digest(text, number);
  free(input);
  return 0;
}
