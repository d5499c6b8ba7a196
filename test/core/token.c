/* SPDX-License-Identifier: MIT */
/* Promise 17: a token gives a worker that is spawned rather than forked its place; nothing else is taken for one. */
#include "token.h" /* the library's own, to make tokens that it never would */

#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "programs.h"
#include "workers.h"

/* Of a run that has the digits of each kind. */
static size_t write_token(char *to, uint64_t generation, const char *lineage, size_t length) {
  const struct token token = {UINT64_C(0x0123456789abcdef), generation, lineage, length};
  return atfork_token_write(to, &token);
}

/* ---- Making tokens ---- */

static void test_as_snprintf(void) {
  char token[ROOM], small[ROOM], again[ROOM];
  int length = atfork_token(NULL, 0);
  g_assert_cmpint(length, >, 0);
  for (size_t size = 1; size <= (size_t)length; size++) {
    memset(small, '#', sizeof small);
    g_assert_cmpint(atfork_token(small, size), ==, length);
    g_assert_cmpint(small[size - 1], ==, '\0');
    g_assert_cmpint(small[size], ==, '#');
  }
  /* Only one that was got whole uses up a number. */
  g_assert_cmpint(atfork_token(token, (size_t)length + 1), ==, length);
  g_assert_true(strstr(token, ":0.1:") != NULL);
  g_assert_true(strncmp(token, small, (size_t)length - 1) == 0);
  atfork_token(again, sizeof again);
  g_assert_true(strstr(again, ":0.2:") != NULL);
  errno = 0;
  g_assert_cmpint(atfork_token(NULL, 5), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
}

enum { THREADS = 4, TOKENS = 2000 };

static void *take_tokens(void *lineages) {
  for (int i = 0; i < TOKENS; i++) {
    char token[ROOM];
    struct token read;
    atfork_token(token, sizeof token);
    g_assert_true(atfork_token_read(token, &read));
    ((int *)lineages)[i] = atoi(read.lineage + 2);
  }
  return NULL;
}

static int by_value(const void *a, const void *b) {
  return *(const int *)a - *(const int *)b;
}

static void test_threads_take_different_ones(void) {
  static int numbers[THREADS][TOKENS];
  GThread *threads[THREADS];
  for (int i = 0; i < THREADS; i++) threads[i] = g_thread_new("taker", take_tokens, numbers[i]);
  for (int i = 0; i < THREADS; i++) g_thread_join(threads[i]);
  int *all = &numbers[0][0];
  qsort(all, THREADS * TOKENS, sizeof *all, by_value);
  for (int i = 1; i < THREADS * TOKENS; i++) g_assert_cmpint(all[i], ==, all[i - 1] + 1);
}

/* ---- Seeds and tokens of a base and a lineage are the same for ever ---- */

static void test_vectors(void) {
  static const struct {
    const char *lineage;
    uint64_t seed_0, seed_42;
    const char *token; /* in generation 3 */
  } vectors[] = {
      {"0", UINT64_C(7130702816634162376), UINT64_C(12295202562756260613),
       "atfork2:0123456789abcdef:3:0:e5282d6557c8a923"},
      {"0.1", UINT64_C(11670748719748016110), UINT64_C(9701797397034905281),
       "atfork2:0123456789abcdef:3:0.1:c3752022074ed00c"},
      {"0.2", UINT64_C(17519214916425597135), UINT64_C(17955109558353259596),
       "atfork2:0123456789abcdef:3:0.2:39e6ac56b5908da0"},
      {"0.1.1", UINT64_C(3134731672533681184), UINT64_C(14526841625729184592),
       "atfork2:0123456789abcdef:3:0.1.1:38fdc75da74687cb"},
      {"0.10.3", UINT64_C(12458389155005319491), UINT64_C(12681455171130898502),
       "atfork2:0123456789abcdef:3:0.10.3:1030f313877acb23"},
      {"0.p4711", UINT64_C(15952197646949029110), UINT64_C(2086093001199906118),
       "atfork2:0123456789abcdef:3:0.p4711:91037cc8e8157e53"},
      {"~89abcdef01234567.3", UINT64_C(9535468671706912571), UINT64_C(6248901963568245588),
       "atfork2:0123456789abcdef:3:~89abcdef01234567.3:916500754f6f9c80"},
      {"0.r3.1", UINT64_C(14179346365108878315), UINT64_C(397019955984723199),
       "atfork2:0123456789abcdef:3:0.r3.1:18ca2e19db64a1ff"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(vectors); i++) {
    char token[TOKEN_MAX + 1];
    size_t length = strlen(vectors[i].lineage);
    g_assert_cmpuint(atfork_lineage_hash(0, vectors[i].lineage, length), ==, vectors[i].seed_0);
    g_assert_cmpuint(atfork_lineage_hash(42, vectors[i].lineage, length), ==, vectors[i].seed_42);
    token[write_token(token, 3, vectors[i].lineage, length)] = '\0';
    g_assert_cmpstr(token, ==, vectors[i].token);
  }
}

/* 600 levels deep, with a digest since the 459th. */
static void test_vectors_of_the_deep(void) {
  char lineages[2][LINEAGE_MAX];
  uint64_t seed[600];
  size_t length = 1;
  lineages[0][0] = '0';
  for (unsigned i = 0; i < 600; i++) {
    char *child = lineages[(i + 1) % 2];
    length = atfork_lineage_of_child(child, lineages[i % 2], length, false, i % 7 == 3 ? 1234567 : i % 3 + 1);
    seed[i] = atfork_lineage_hash(42, child, length);
  }
  g_assert_cmpuint(seed[300], ==, UINT64_C(12183411607293415212));
  g_assert_cmpuint(seed[458], ==, UINT64_C(10987567908970252077));
  g_assert_cmpuint(seed[599], ==, UINT64_C(12019863655727053591));
}

/* ---- Workers ---- */

static void test_by_argument(void) {
  const char *token = take_token();
  check_worker(token, NULL, token);
}

static void test_by_environment(void) {
  const char *token = take_token();
  check_worker("--environment", token, token);
}

/* The longest lineage that there is. */
static void test_the_longest(void) {
  char lineage[LINEAGE_MAX], token[TOKEN_MAX + 1];
  size_t length = 1;
  lineage[0] = '0';
  while (length + 2 <= LINEAGE_MAX) {
    lineage[length++] = '.';
    lineage[length++] = '7';
  }
  token[write_token(token, UINT64_C(1) << 63, lineage, length)] = '\0';
  check_worker(token, NULL, token);
}

static void test_with_a_digest(void) {
  static const char lineage[] = "~89abcdef01234567.1.p22";
  char token[TOKEN_MAX + 1];
  token[write_token(token, 500, lineage, sizeof lineage - 1)] = '\0';
  check_worker(token, NULL, token);
}

/* ---- What is no token ---- */

static void check_bad(const char *token) {
  char lineage[ROOM];
  errno = 0;
  g_assert_cmpint(atfork_spawned(token), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
  g_assert_cmpuint(atfork_generation(), ==, 0);
  atfork_lineage(lineage, sizeof lineage);
  g_assert_cmpstr(lineage, ==, "0");
}

static void test_cut_off_or_changed(void) {
  char token[ROOM], longer[ROOM + 1];
  strcpy(token, take_token());
  size_t length = strlen(token);
  for (size_t i = 0; i < length; i++) {
    char *cut = malloc(i + 1); /* no longer than that, so that a sanitizer sees what is read behind it */
    memcpy(cut, token, i);
    cut[i] = '\0';
    check_bad(cut);
    free(cut);
    char kept = token[i];
    for (int c = 1; c < 256; c++) {
      token[i] = (char)c;
      if (token[i] != kept) check_bad(token);
    }
    token[i] = kept;
  }
  snprintf(longer, sizeof longer, "%s0", token);
  check_bad(longer);
}

static void test_overlong(void) {
  static char token[1 << 20];
  memset(token, '0', sizeof token - 1);
  check_bad(token);
  memcpy(token, "atfork2:", 8);
  check_bad(token);
  token[TOKEN_MAX] = '\0';
  check_bad(token);
}

/* With the right digest. */
static void check_hostile(const char *body) {
  char token[2 * ROOM];
  size_t length = strlen(body);
  memcpy(token, body, length);
  token[length + atfork_put_digest(token + length, atfork_lineage_hash(0, body, length))] = '\0';
  check_bad(token);
}

static const char *const bodies[] = {
    "atfork2:0123456789abcdef:0:0.1:",
    "atfork2:0123456789abcdef:01:0.1:",
    "atfork2:0123456789abcdef::0.1:",
    "atfork2:0123456789abcdef:-1:0.1:",
    "atfork2:0123456789abcdef:1::",
    "atfork2:0123456789abcdef:1:",
    "atfork2:0123456789abcdef:1",
    "atfork2:0123456789abcdef:1:0.1",
    "atfork1:1:0.1:",
    "atfork1:0123456789abcdef:1:0.1:",
    "atfork2:1:0.1:",
    "atfork2:0123456789abcde:1:0.1:",
    "atfork2:0123456789abcdeg:1:0.1:",
    "atfork2:0123456789ABCDEF:1:0.1:",
    "atfork2:0123456789abcdef01:1:0.1:",
    "atfork2:0123456789abcdef",
    "atfork2:0123456789abcdef:",
    "atfork2:0123456789abcdef:1:1:",
    "atfork2:0123456789abcdef:1:0.:",
    "atfork2:0123456789abcdef:1:0..1:",
    "atfork2:0123456789abcdef:1:.1:",
    "atfork2:0123456789abcdef:1:0.1.:",
    "atfork2:0123456789abcdef:1:0.01:",
    "atfork2:0123456789abcdef:1:0.p:",
    "atfork2:0123456789abcdef:1:0.0:",
    "atfork2:0123456789abcdef:1:0.p0:",
    "atfork2:0123456789abcdef:1:0.x1:",
    "atfork2:0123456789abcdef:1:0.1 :",
    "atfork2:0123456789abcdef:1: 0.1:",
    "atfork2:0123456789abcdef:1:0.1\n:",
    "atfork2:0123456789abcdef:1:0.1:0.2:",
    "atfork2:0123456789abcdef:1:~89abcdef.1:",
    "atfork2:0123456789abcdef:1:~.1:",
    "atfork2:0123456789abcdef:1:0.~1:",
    "atfork2:0123456789abcdef:1:../etc:",
    "atfork2:0123456789abcdef:1:~89abcdef0123456G.1:",
    "atfork2:0123456789abcdef:1:~89abcdef0123456g.1:",
    "atfork2:0123456789abcdef:1:~89abcdef01234567:1:",
    "atfork2:0123456789abcdef:1:x89abcdef01234567.1:",
    "atfork2:0123456789abcdef:1:%s%n:",
    "atfork2:0123456789abcdef:1:0.1\xff:",
    "atfork2:0123456789abcdef:1:0.pp1:",
    "atfork2:0123456789abcdef:18446744073709551615:0.1:",
    "atfork2:0123456789abcdef: 1:0.1:",
    "atfork2:0123456789abcdef:1:0.1.p2.p0:",
    "atfork2:0123456789abcdef:1:00.1:",
    "atfork2:0123456789abcdef:9223372036854775809:0.1:",
    "atfork2:0123456789abcdef:1:0p.1:",
    "atfork2:0123456789abcdef:1:0.1.2.3.p:",
    "Atfork2:0123456789abcdef:1:0.1:",
    "atfork2:0123456789abcdef:99999999999999999999999999:0.1:",
    "atfork2:0123456789abcdef:1:0.r:",
    "atfork2:0123456789abcdef:1:0.r01:",
    "atfork2:0123456789abcdef:1:0.r-1:",
    "atfork2:0123456789abcdef:1:0.1.r1:",
    "atfork2:0123456789abcdef:1:0.r1.r1:",
    "atfork2:0123456789abcdef:1:~89abcdef01234567.r1:",
    "atfork2:0123456789abcdef:1:0.r123456789012345678901:",
    "",
    ":",
    "atfork2:0123456789abcdef:1:0.1.p-4:",
    "atfork2:0123456789abcdef:1:0.123456789012345678901:",
    "atfork2:0123456789abcdef:1:0.18446744073709551616:",
    "atfork2:0123456789abcdef:1:0.p18446744073709551616:",
    "atfork2:0123456789abcdef:1:0.r18446744073709551616:",
    "atfork2:0123456789abcdef:1:0.99999999999999999999.1:",
    "atfork2:0123456789abcdef:1:~89abcdef01234567:",
};

static void test_hostile(void) {
  for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
    g_test_message("body %d", (int)i);
    check_hostile(bodies[i]);
  }
  char longest[27 + LINEAGE_MAX + 4] = "atfork2:0123456789abcdef:1:0";
  while (strlen(longest) < 27 + LINEAGE_MAX) strcat(longest, ".1");
  strcat(longest, ":");
  check_hostile(longest);
}

static void test_no_token(void) {
  set_variable("ATFORK_TOKEN", NULL);
  check_bad(NULL);
  check_bad("");
  set_variable("ATFORK_TOKEN", "nonsense");
  check_bad(NULL);
  /* It stays there, for whoever is to look why. */
  g_assert_cmpstr(getenv("ATFORK_TOKEN"), ==, "nonsense");
  set_variable("ATFORK_TOKEN", NULL);
}

/* Mutations of good ones, with the right digest half of the time: never a crash, and what is taken is valid. */
static void test_at_random(void) {
  uint64_t random = 11;
  for (int round = 0; round < 200000; round++) {
    char text[TOKEN_MAX + 1] = "atfork2:0123456789abcdef:12:0.1.p4711.22:";
    struct token token;
    size_t length = strlen(text);
    for (unsigned i = draw_below(&random, 4); i > 0; i--)
      text[draw_below(&random, (unsigned)length)] = "0123456789.:p~af"[draw_below(&random, 16)];
    atfork_put_digest(text + length, round % 2 == 0 ? atfork_lineage_hash(0, text, length) : 7);
    if (!atfork_token_read(text, &token)) continue;
    char again[TOKEN_MAX + 1] = "";
    atfork_token_write(again, &token);
    g_assert_cmpstr(again, ==, text);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/token/as-snprintf", test_as_snprintf);
  g_test_add_func("/token/vectors", test_vectors);
  g_test_add_func("/token/vectors-of-the-deep", test_vectors_of_the_deep);
  g_test_add_func("/token/threads-take-different-ones", test_threads_take_different_ones);
  g_test_add_func("/token/by-argument", test_by_argument);
  g_test_add_func("/token/by-environment", test_by_environment);
  g_test_add_func("/token/the-longest", test_the_longest);
  g_test_add_func("/token/with-a-digest", test_with_a_digest);
  g_test_add_func("/token/cut-off-or-changed", test_cut_off_or_changed);
  g_test_add_func("/token/overlong", test_overlong);
  g_test_add_func("/token/hostile", test_hostile);
  g_test_add_func("/token/no-token", test_no_token);
  g_test_add_func("/token/at-random", test_at_random);
  return g_test_run();
}
