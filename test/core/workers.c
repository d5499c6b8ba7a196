/* SPDX-License-Identifier: MIT */
#include "workers.h"

#include <atfork.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "token.h" /* the library's own */

const char *take_token(void) {
  static char token[ROOM];
  int length = atfork_token(token, sizeof token);
  g_assert_cmpint(length, ==, (int)strlen(token));
  return token;
}

char **run_worker(const char *program, const char *argument, const char *variable) {
  char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)argument, NULL};
  char **environment = g_get_environ();
  gchar *out;
  gint status;
  GError *error = NULL;
  if (variable != NULL) environment = g_environ_setenv(environment, "ATFORK_TOKEN", variable, TRUE);
  g_spawn_sync(NULL, argv, environment, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, &status, &error);
  g_assert_no_error(error);
  g_assert_cmpint(status, ==, 0);
  char **lines = g_strsplit(out, "\n", 3);
  g_strfreev(environment);
  g_free(out);
  g_assert_cmpuint(g_strv_length(lines), ==, 3);
  return lines;
}

void check_worker(const char *argument, const char *variable, const char *token) {
  struct token place;
  g_assert_true(atfork_token_read(token, &place));
  uint64_t seed = atfork_lineage_hash(42, place.lineage, place.length);
  char **lines = run_worker(WORKER, argument, variable);
  char *tail = g_strdup_printf("%" PRIu64 " %.*s %016" PRIx64 " abc unset", place.generation, (int)place.length,
                               place.lineage, seed);
  char *first = g_strconcat("ok ", tail, NULL), *second = g_strconcat("EALREADY ", tail, NULL);
  g_assert_cmpstr(lines[0], ==, first);
  g_assert_cmpstr(lines[1], ==, second);
  g_free(first);
  g_free(second);
  g_free(tail);
  g_strfreev(lines);
}
