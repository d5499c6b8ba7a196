/* SPDX-License-Identifier: MIT */
#include "workers.h"

#include <atfork.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs.h"
#include "token.h" /* the library's own */

const char *take_token(void) {
  static char token[ROOM];
  int length = atfork_token(token, sizeof token);
  g_assert_cmpint(length, ==, (int)strlen(token));
  return token;
}

char **run_worker(const char *program, const char *argument, const char *variable) {
  char set[ROOM + 16], *out;
  size_t count;
  snprintf(set, sizeof set, "ATFORK_TOKEN=%s", variable == NULL ? "" : variable);
  int status = run_program((const char *const[]){program, argument, NULL},
                           (const char *const[]){variable == NULL ? NULL : set, NULL}, &out, NULL);
  g_assert_cmpint(status, ==, 0);
  char **lines = lines_of(out, &count);
  free(out);
  g_assert_cmpuint(count, ==, 2);
  return lines;
}

void check_worker(const char *argument, const char *variable, const char *token) {
  struct token place;
  g_assert_true(atfork_token_read(token, &place));
  uint64_t seed = atfork_lineage_hash(42, place.lineage, place.length);
  char **lines = run_worker(WORKER, argument, variable);
  static const char *const results[] = {"ok", "EALREADY"};
  for (int i = 0; i < 2; i++) {
    char expected[2 * ROOM];
    snprintf(expected, sizeof expected, "%s %" PRIu64 " %.*s %016" PRIx64 " abc unset", results[i], place.generation,
             (int)place.length, place.lineage, seed);
    g_assert_cmpstr(lines[i], ==, expected);
  }
  free(lines);
}
