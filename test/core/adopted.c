/* SPDX-License-Identifier: MIT */
/*
 * Promise 17: a worker that its launcher has numbered has a place of its own.  It takes it once, so each case is a
 * worker of its own: this program again, as  adopted --worker RANK.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 1024, VARIABLES = 6 };

/* All that a launcher may say. */
static const char *const variables[] = {
    "SLURM_PROCID",
    "SLURM_STEP_ID",
    "SLURM_JOB_ID",
    "PMIX_RANK",
    "PMIX_NAMESPACE",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_MCA_orte_precondition_transports",
    "PMI_RANK",
    "PMI_SIZE",
    "FLUX_TASK_RANK",
    "FLUX_JOB_ID",
    "PALS_RANKID",
    "PALS_APID",
    "JSM_NAMESPACE_RANK",
    "JSM_NAMESPACE_SIZE",
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "TORCHELASTIC_RUN_ID",
    "JOB_COMPLETION_INDEX",
    "ATFORK_RUN",
    "ATFORK_TOKEN",
};

static char *program;

/* ---- A worker: says what it found, a line each ---- */

static char ran[8];

static void run(void *letter) {
  strcat(ran, letter);
}

static void must_not_run(void *unused) {
  (void)unused;
  abort();
}

static const char *const places[] = {"root", "forked", "spawned", "adopted", "unknown"};

static const char *result_of(int returned) {
  return returned == 0       ? "ok"
         : errno == EINVAL   ? "EINVAL"
         : errno == ENOENT   ? "ENOENT"
         : errno == EALREADY ? "EALREADY"
                             : "?";
}

static void say(const char *result) {
  char lineage[ROOM];
  atfork_lineage(lineage, sizeof lineage);
  printf("%s %" PRIu64 " %s %s %s\n", result, atfork_generation(), lineage, places[atfork_place()],
         ran[0] == '\0' ? "-" : ran);
}

static int inits;

static void init(void *unused) {
  (void)unused;
  inits++;
}

/* Lines: the result, the second one's, the launcher, the run before and after, a token. */
static int be_worker(const char *rank) {
  static char a[] = "a", b[] = "b", c[] = "c";
  static struct atfork_once control;
  char launcher[ROOM], token[ROOM];
  uint64_t drawn = atfork_run();
  g_assert_cmpint(atfork_place(), ==, ATFORK_ROOT);
  atfork_register(&(struct atfork_hook){.child = run, .data = b});
  atfork_register(&(struct atfork_hook){.priority = 1, .child = run, .data = c});
  atfork_register(
      &(struct atfork_hook){.priority = -1, .prepare = must_not_run, .parent = must_not_run, .child = run, .data = a});
  atfork_once(&control, init, NULL);
  errno = ERANGE;
  int returned = atfork_adopt(strcmp(rank, "-") == 0 ? NULL : rank);
  if (returned == 0) g_assert_cmpint(errno, ==, ERANGE);
  say(result_of(returned));
  atfork_once(&control, init, NULL);
  g_assert_cmpint(inits, ==, returned == 0 ? 2 : 1);
  say(result_of(returned == 0 ? atfork_adopt("7") : returned));
  g_assert_cmpint(atfork_launcher(launcher, sizeof launcher), ==, (int)strlen(launcher));
  puts(launcher);
  printf("%016" PRIx64 " %016" PRIx64 "\n", drawn, atfork_run());
  g_assert_cmpint(atfork_token(token, sizeof token), ==, (int)strlen(token));
  puts(token);
  return 0;
}

/* ---- Running one ---- */

enum { RESULT, SECOND, LAUNCHER, RUNS, TOKEN, LINES };

/* `set` is NAME=VALUE …, NULL at the end. */
static char **run_worker(const char *rank, const char *const *set, char **said) {
  char *argv[] = {program, (char *)"--worker", (char *)(uintptr_t)rank, NULL};
  char **environment = g_get_environ();
  gchar *out;
  gint status;
  GError *error = NULL;
  for (; *set != NULL; set++) {
    char **pair = g_strsplit(*set, "=", 2);
    environment = g_environ_setenv(environment, pair[0], pair[1], TRUE);
    g_strfreev(pair);
  }
  g_spawn_sync(NULL, argv, environment, G_SPAWN_DEFAULT, NULL, NULL, &out, said, &status, &error);
  g_assert_no_error(error);
  if (status != 0) g_error("worker %s ended with %d: %s", rank, status, *said);
  char **lines = g_strsplit(out, "\n", LINES + 1);
  g_assert_cmpuint(g_strv_length(lines), ==, LINES + 1);
  for (int i = 0; i < LINES; i++) lines[i][strcspn(lines[i], "\r")] = '\0';
  g_free(out);
  g_strfreev(environment);
  return lines;
}

static char **run_quiet_worker(const char *rank, const char *const *set) {
  char *said;
  char **lines = run_worker(rank, set, &said);
  g_assert_cmpstr(said, ==, "");
  g_free(said);
  return lines;
}

static uint64_t run_of(const char *rank, const char *const *set) {
  char **lines = run_quiet_worker(rank, set);
  g_assert_cmpint((int)strlen(lines[RUNS]), ==, 33);
  uint64_t found = strtoull(lines[RUNS] + 17, NULL, 16);
  g_strfreev(lines);
  return found;
}

static void expect(const char *rank, const char *const *set, const char *result, const char *launcher) {
  char **lines = run_quiet_worker(rank, set);
  g_assert_cmpstr(lines[RESULT], ==, result);
  g_assert_cmpstr(lines[LAUNCHER], ==, launcher);
  g_strfreev(lines);
}

static const char *const nothing[] = {NULL};

/* ---- By a number ---- */

static void test_place(void) {
  char **lines = run_quiet_worker("3", nothing);
  g_assert_cmpstr(lines[RESULT], ==, "ok 1 0.r3 adopted abc");
  g_assert_cmpstr(lines[SECOND], ==, "EALREADY 1 0.r3 adopted abc");
  g_assert_cmpstr(lines[LAUNCHER], ==, "");
  g_assert_true(strstr(lines[TOKEN], ":2:0.r3.1:") != NULL);
  g_strfreev(lines);
}

/* "0.r0" and "0.r18446744073709551615" are lineages; nothing else that looks like a number is a rank. */
static void test_ranks(void) {
  static const struct {
    const char *rank, *result;
  } table[] = {
      {"0", "ok 1 0.r0 adopted abc"},
      {"10", "ok 1 0.r10 adopted abc"},
      {"18446744073709551615", "ok 1 0.r18446744073709551615 adopted abc"},
      {"18446744073709551616", "EINVAL 0 0 root -"},
      {"99999999999999999999", "EINVAL 0 0 root -"},
      {"", "EINVAL 0 0 root -"},
      {"03", "EINVAL 0 0 root -"},
      {"00", "EINVAL 0 0 root -"},
      {"+3", "EINVAL 0 0 root -"},
      {"-3", "EINVAL 0 0 root -"},
      {" 3", "EINVAL 0 0 root -"},
      {"3 ", "EINVAL 0 0 root -"},
      {"3.", "EINVAL 0 0 root -"},
      {"0x3", "EINVAL 0 0 root -"},
      {"three", "EINVAL 0 0 root -"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_test_message("rank \"%s\"", table[i].rank);
    expect(table[i].rank, nothing, table[i].result, "");
  }
}

static void test_before_the_launchers(void) {
  static const char *const set[] = {"PMI_RANK=5", "PMI_SIZE=8", "SLURM_PROCID=1", "SLURM_STEP_ID=0", NULL};
  expect("3", set, "ok 1 0.r3 adopted abc", "SLURM_PROCID=1 PMI_RANK=5");
}

/* ---- By the launcher ---- */

#define NOBODY "ENOENT 0 0 root -"
#define BAD "EINVAL 0 0 root -"
#define THIRD "ok 1 0.r3 adopted abc"

static const struct launch {
  const char *name;
  const char *set[VARIABLES];
  const char *result, *launcher;
} launches[] = {
    {"nobody", {NULL}, NOBODY, ""},
    {"slurm", {"SLURM_PROCID=3", "SLURM_STEP_ID=0", NULL}, THIRD, "SLURM_PROCID=3"},
    {"slurm-high-step", {"SLURM_PROCID=3", "SLURM_STEP_ID=4294967279", NULL}, THIRD, "SLURM_PROCID=3"},
    {"slurm-no-step", {"SLURM_PROCID=3", NULL}, NOBODY, ""},
    {"slurm-batch", {"SLURM_PROCID=0", "SLURM_STEP_ID=4294967291", NULL}, NOBODY, ""},
    {"slurm-extern", {"SLURM_PROCID=0", "SLURM_STEP_ID=4294967292", NULL}, NOBODY, ""},
    {"slurm-interactive", {"SLURM_PROCID=0", "SLURM_STEP_ID=4294967290", NULL}, NOBODY, ""},
    {"slurm-odd-step", {"SLURM_PROCID=0", "SLURM_STEP_ID=batch", NULL}, NOBODY, ""},
    {"pmix", {"PMIX_RANK=3", "PMIX_NAMESPACE=a", NULL}, THIRD, "PMIX_RANK=3"},
    {"openmpi", {"OMPI_COMM_WORLD_RANK=3", "OMPI_COMM_WORLD_SIZE=4", NULL}, THIRD, "OMPI_COMM_WORLD_RANK=3"},
    {"pmi", {"PMI_RANK=3", "PMI_SIZE=4", NULL}, THIRD, "PMI_RANK=3"},
    {"flux", {"FLUX_TASK_RANK=3", "FLUX_JOB_ID=1", NULL}, THIRD, "FLUX_TASK_RANK=3"},
    {"pals", {"PALS_RANKID=3", "PALS_APID=1", NULL}, THIRD, "PALS_RANKID=3"},
    {"jsm", {"JSM_NAMESPACE_RANK=3", "JSM_NAMESPACE_SIZE=4", NULL}, THIRD, "JSM_NAMESPACE_RANK=3"},
    {"torchrun", {"RANK=3", "WORLD_SIZE=4", "LOCAL_RANK=1", NULL}, THIRD, "RANK=3"},
    {"rank-of-anybody", {"RANK=3", NULL}, NOBODY, ""},
    {"local-rank", {"LOCAL_RANK=3", "WORLD_SIZE=4", NULL}, NOBODY, ""},
    {"kubernetes", {"JOB_COMPLETION_INDEX=3", NULL}, THIRD, "JOB_COMPLETION_INDEX=3"},
    {"empty", {"PMI_RANK=", "PMI_SIZE=4", NULL}, NOBODY, ""},
    {"no-number", {"PMI_RANK=-3", "PMI_SIZE=4", NULL}, BAD, "PMI_RANK=-3"},
    {"leading-zero", {"JOB_COMPLETION_INDEX=03", NULL}, BAD, "JOB_COMPLETION_INDEX=03"},
    {"agree",
     {"SLURM_PROCID=3", "SLURM_STEP_ID=0", "PMI_RANK=3", "PMI_SIZE=4", NULL},
     THIRD,
     "SLURM_PROCID=3 PMI_RANK=3"},
    {"disagree", {"SLURM_PROCID=0", "SLURM_STEP_ID=0", "RANK=3", "WORLD_SIZE=4", NULL}, BAD, "SLURM_PROCID=0 RANK=3"},
    {"one-no-number", {"JOB_COMPLETION_INDEX=3", "RANK=x", "WORLD_SIZE=4", NULL}, BAD, NULL},
};

static void test_launch(gconstpointer data) {
  const struct launch *launch = data;
  char **lines = run_quiet_worker("-", launch->set);
  g_assert_cmpstr(lines[RESULT], ==, launch->result);
  if (launch->launcher != NULL) g_assert_cmpstr(lines[LAUNCHER], ==, launch->launcher);
  g_strfreev(lines);
}

static void test_launcher_as_snprintf(void) {
  char whole[ROOM], small[ROOM];
  g_setenv("PMI_RANK", "12", TRUE);
  g_setenv("PMI_SIZE", "20", TRUE);
  g_setenv("JOB_COMPLETION_INDEX", "12", TRUE);
  int length = atfork_launcher(whole, sizeof whole);
  g_assert_cmpint(length, ==, (int)strlen(whole));
  g_assert_true(strstr(whole, "PMI_RANK=12") != NULL && strstr(whole, "JOB_COMPLETION_INDEX=12") != NULL);
  g_assert_cmpint(atfork_launcher(NULL, 0), ==, length);
  for (size_t size = 1; size <= (size_t)length + 1; size++) {
    memset(small, '#', sizeof small);
    g_assert_cmpint(atfork_launcher(small, size), ==, length);
    g_assert_cmpint((int)strlen(small), ==, (int)size - 1);
    g_assert_cmpint(small[size], ==, '#');
    g_assert_true(strncmp(small, whole, size - 1) == 0);
  }
  errno = 0;
  g_assert_cmpint(atfork_launcher(NULL, 1), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
  g_unsetenv("PMI_RANK");
  g_unsetenv("PMI_SIZE");
  g_unsetenv("JOB_COMPLETION_INDEX");
  g_assert_cmpint(atfork_launcher(small, sizeof small), ==, 0);
  g_assert_cmpstr(small, ==, "");
}

/* ---- The run ---- */

static void test_run_is_drawn(void) {
  uint64_t first = run_of("3", nothing), second = run_of("3", nothing);
  g_assert_cmpuint(first, !=, second);
  char **lines = run_quiet_worker("3", nothing);
  char *after = lines[RUNS] + 17;
  g_assert_true(strncmp(lines[RUNS], after, 16) == 0);
  g_strfreev(lines);
}

static void test_run_is_given(void) {
  static const struct {
    const char *set[2];
    uint64_t run;
  } table[] = {
      {{"ATFORK_RUN=0", NULL}, 0},
      {{"ATFORK_RUN=42", NULL}, 42},
      {{"ATFORK_RUN=18446744073709551615", NULL}, UINT64_MAX},
      {{"ATFORK_RUN=0x2a", NULL}, 42},
      {{"ATFORK_RUN=0xFEDCBA9876543210", NULL}, UINT64_C(0xfedcba9876543210)},
      {{"ATFORK_RUN=0x000000000000002A", NULL}, 42},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_test_message("%s", table[i].set[0]);
    g_assert_cmpuint(run_of("3", table[i].set), ==, table[i].run);
  }
}

/* It says so, in one line, and another is drawn. */
static void test_run_is_no_number(void) {
  static const char *const table[] = {
      "abc", "-1", "+1", " 1", "1 ", "01", "1.5", "18446744073709551616", "0x", "0xg", "0x1g", "0x12345678901234567",
      "0X1", "ff",
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    char *said, *set = g_strconcat("ATFORK_RUN=", table[i], NULL);
    const char *const only[] = {set, NULL};
    char **first = run_worker("3", only, &said);
    char **line = g_strsplit(said, "\n", 3);
    g_test_message("%s", said);
    g_assert_cmpuint(g_strv_length(line), ==, 2);
    g_assert_true(g_str_has_prefix(line[0], "atfork: ATFORK_RUN=") && strstr(line[0], table[i]) != NULL);
    g_free(said);
    char **second = run_worker("3", only, &said);
    g_assert_cmpstr(first[RUNS], !=, second[RUNS]);
    g_strfreev(line);
    g_strfreev(first);
    g_strfreev(second);
    g_free(said);
    g_free(set);
  }
}

/* Nothing is as if it were not set. */
static void test_run_is_empty(void) {
  static const char *const set[] = {"ATFORK_RUN=", NULL};
  g_assert_cmpuint(run_of("3", set), !=, run_of("3", set));
}

/* However long, a line is a line. */
static void test_run_is_long(void) {
  char value[2000], *said;
  memset(value, '9', sizeof value - 1);
  memcpy(value, "ATFORK_RUN=", 11);
  value[sizeof value - 1] = '\0';
  const char *const set[] = {value, NULL};
  g_strfreev(run_worker("3", set, &said));
  g_assert_true(g_str_has_prefix(said, "atfork: ATFORK_RUN=9999"));
  g_assert_cmpint((int)strlen(said), <, 200);
  g_free(said);
}

/* Two workers of one job, and one of another; by whom the number comes does not matter. */
static const struct job {
  const char *name;
  const char *one[VARIABLES], *other[VARIABLES];
} jobs[] = {
    {"slurm-job",
     {"SLURM_PROCID=0", "SLURM_STEP_ID=0", "SLURM_JOB_ID=7", NULL},
     {"SLURM_PROCID=0", "SLURM_STEP_ID=0", "SLURM_JOB_ID=8", NULL}},
    {"slurm-step",
     {"SLURM_PROCID=0", "SLURM_STEP_ID=0", "SLURM_JOB_ID=7", NULL},
     {"SLURM_PROCID=0", "SLURM_STEP_ID=1", "SLURM_JOB_ID=7", NULL}},
    {"pmix", {"PMIX_RANK=0", "PMIX_NAMESPACE=a", NULL}, {"PMIX_RANK=0", "PMIX_NAMESPACE=b", NULL}},
    {"flux", {"FLUX_TASK_RANK=0", "FLUX_JOB_ID=1", NULL}, {"FLUX_TASK_RANK=0", "FLUX_JOB_ID=2", NULL}},
    {"pals", {"PALS_RANKID=0", "PALS_APID=1", NULL}, {"PALS_RANKID=0", "PALS_APID=2", NULL}},
    {"openmpi",
     {"OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=2", "PMIX_RANK=0", "PMIX_NAMESPACE=1",
      "OMPI_MCA_orte_precondition_transports=0123456789abcdef-0", NULL},
     {"OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=2", "PMIX_RANK=0", "PMIX_NAMESPACE=1",
      "OMPI_MCA_orte_precondition_transports=0123456789abcdef-1", NULL}},
    {"inside-slurm",
     {"SLURM_PROCID=0", "SLURM_STEP_ID=0", "SLURM_JOB_ID=7", "PMIX_RANK=0", "PMIX_NAMESPACE=a", NULL},
     {"SLURM_PROCID=0", "SLURM_STEP_ID=0", "SLURM_JOB_ID=7", "PMIX_RANK=0", "PMIX_NAMESPACE=b", NULL}},
    {"torchrun",
     {"RANK=0", "WORLD_SIZE=2", "TORCHELASTIC_RUN_ID=a", NULL},
     {"RANK=0", "WORLD_SIZE=2", "TORCHELASTIC_RUN_ID=b", NULL}},
};

static void test_job(gconstpointer data) {
  const struct job *job = data;
  uint64_t first = run_of("-", job->one);
  g_assert_cmpuint(run_of("1", job->one), ==, first);
  g_assert_cmpuint(run_of("-", job->other), !=, first);
}

static const struct launch unnamed[] = {
    {"pmi", {"PMI_RANK=0", "PMI_SIZE=2", NULL}, NULL, NULL},
    {"jsm", {"JSM_NAMESPACE_RANK=0", "JSM_NAMESPACE_SIZE=2", NULL}, NULL, NULL},
    {"kubernetes", {"JOB_COMPLETION_INDEX=0", NULL}, NULL, NULL},
    {"torchrun-none", {"RANK=0", "WORLD_SIZE=2", "TORCHELASTIC_RUN_ID=none", NULL}, NULL, NULL},
    {"torchrun-no-id", {"RANK=0", "WORLD_SIZE=2", NULL}, NULL, NULL},
    {"slurm-no-job", {"SLURM_PROCID=0", "SLURM_STEP_ID=0", NULL}, NULL, NULL},
};

/* However long a name is, all of it counts. */
static void test_long_job(void) {
  uint64_t runs[2];
  for (int i = 0; i < 2; i++) {
    char name[1000];
    memset(name, 'a', sizeof name);
    memcpy(name, "FLUX_JOB_ID=", 12);
    name[sizeof name - 2] = (char)('0' + i);
    name[sizeof name - 1] = '\0';
    const char *const set[] = {"FLUX_TASK_RANK=0", name, NULL};
    runs[i] = run_of("-", set);
    g_assert_cmpuint(run_of("-", set), ==, runs[i]);
  }
  g_assert_cmpuint(runs[0], !=, runs[1]);
}

/* Where nothing names the job, each has drawn its own: never the same from run to run. */
static void test_unnamed_job(gconstpointer data) {
  const struct launch *launch = data;
  g_assert_cmpuint(run_of("-", launch->set), !=, run_of("-", launch->set));
}

static void test_run_given_before_job(void) {
  static const char *const set[] = {"FLUX_TASK_RANK=0", "FLUX_JOB_ID=1", "ATFORK_RUN=42", NULL};
  g_assert_cmpuint(run_of("-", set), ==, 42);
}

/* ---- Tokens ---- */

/* This process's run goes with them. */
static void test_token_carries_the_run(void) {
  char token[ROOM], run_text[ROOM];
  g_assert_cmpint(atfork_token(token, sizeof token), >, 0);
  g_snprintf(run_text, sizeof run_text, "%016" PRIx64, atfork_run());
  g_assert_true(strstr(token, run_text) != NULL);
  char *argv[] = {program, (char *)"--spawned", token, NULL};
  gchar *out;
  GError *error = NULL;
  gint status;
  g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, &status, &error);
  g_assert_no_error(error);
  g_assert_cmpint(status, ==, 0);
  out[strcspn(out, "\r\n")] = '\0';
  g_assert_cmpstr(out, ==, run_text);
  g_free(out);
}

/* A worker of a numbered one finds itself where that one's token says; then it knows its place. */
static int be_spawned(const char *token) {
  g_assert_cmpint(atfork_spawned(token), ==, 0);
  g_assert_cmpint(atfork_place(), ==, ATFORK_SPAWNED);
  g_assert_cmpint(atfork_adopt("3"), ==, -1);
  g_assert_cmpint(errno, ==, EALREADY);
  printf("%016" PRIx64 "\n", atfork_run());
  return 0;
}

static void test_token_of_an_adopted(void) {
  static const char *const set[] = {"ATFORK_RUN=0x1234", NULL};
  char **lines = run_quiet_worker("3", set);
  char *argv[] = {program, (char *)"--spawned", lines[TOKEN], NULL};
  gchar *out;
  GError *error = NULL;
  gint status;
  g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, &status, &error);
  g_assert_no_error(error);
  g_assert_cmpint(status, ==, 0);
  g_assert_true(g_str_has_prefix(out, "0000000000001234"));
  g_free(out);
  g_strfreev(lines);
}

/* ---- Tokens of a token's children ---- */

static void test_child_token(void) {
  char parent[ROOM], first[ROOM], again[ROOM], grandchild[ROOM];
  atfork_token(parent, sizeof parent);
  int length = atfork_child_token(parent, 1, first, sizeof first);
  g_assert_cmpint(length, ==, (int)strlen(first));
  g_assert_cmpint(atfork_child_token(parent, 1, again, sizeof again), ==, length);
  g_assert_cmpstr(again, ==, first);
  g_assert_cmpint(atfork_child_token(parent, UINT64_MAX, again, sizeof again), >, length);
  g_assert_true(strstr(again, ".18446744073709551615:") != NULL);
  g_assert_cmpint(atfork_child_token(first, 22, grandchild, sizeof grandchild), ==, length + 3);
  g_assert_true(strstr(grandchild, ":3:0.") != NULL && strstr(grandchild, ".1.22:") != NULL);
  g_assert_cmpint(atfork_child_token(parent, 1, NULL, 0), ==, length);
  g_assert_cmpint(atfork_child_token(parent, 1, again, 8), ==, length);
  g_assert_cmpint((int)strlen(again), ==, 7);
}

static void expect_no_child(const char *token, uint64_t n, char *buf, size_t size) {
  errno = 0;
  g_assert_cmpint(atfork_child_token(token, n, buf, size), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
}

static void test_child_token_of_nothing(void) {
  char parent[ROOM], child[ROOM];
  atfork_token(parent, sizeof parent);
  expect_no_child(NULL, 1, child, sizeof child);
  expect_no_child("", 1, child, sizeof child);
  expect_no_child("atfork1:3:0.1:1c29e690bffbbefb", 1, child, sizeof child);
  expect_no_child(parent, 0, child, sizeof child);
  expect_no_child(parent, 1, NULL, 1);
  parent[strlen(parent) - 1] ^= 1;
  expect_no_child(parent, 1, child, sizeof child);
}

/* Until the next one: what it is handed to copies it. */
static const char *path_of(const char *folder, const char *name) {
  static char path[128];
  g_snprintf(path, sizeof path, "%s%s", folder, name);
  return path;
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc == 3 && strcmp(argv[1], "--worker") == 0) return be_worker(argv[2]);
  if (argc == 3 && strcmp(argv[1], "--spawned") == 0) return be_spawned(argv[2]);
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) g_unsetenv(variables[i]);
  g_test_add_func("/adopted/place", test_place);
  g_test_add_func("/adopted/ranks", test_ranks);
  g_test_add_func("/adopted/before-the-launchers", test_before_the_launchers);
  for (size_t i = 0; i < G_N_ELEMENTS(launches); i++)
    g_test_add_data_func(path_of("/adopted/launcher/", launches[i].name), &launches[i], test_launch);
  g_test_add_func("/adopted/launcher-as-snprintf", test_launcher_as_snprintf);
  g_test_add_func("/adopted/run/is-drawn", test_run_is_drawn);
  g_test_add_func("/adopted/run/is-given", test_run_is_given);
  g_test_add_func("/adopted/run/is-no-number", test_run_is_no_number);
  g_test_add_func("/adopted/run/is-empty", test_run_is_empty);
  g_test_add_func("/adopted/run/is-long", test_run_is_long);
  for (size_t i = 0; i < G_N_ELEMENTS(jobs); i++)
    g_test_add_data_func(path_of("/adopted/run/job/", jobs[i].name), &jobs[i], test_job);
  for (size_t i = 0; i < G_N_ELEMENTS(unnamed); i++)
    g_test_add_data_func(path_of("/adopted/run/unnamed/", unnamed[i].name), &unnamed[i], test_unnamed_job);
  g_test_add_func("/adopted/run/long-job", test_long_job);
  g_test_add_func("/adopted/run/given-before-job", test_run_given_before_job);
  g_test_add_func("/adopted/token-carries-the-run", test_token_carries_the_run);
  g_test_add_func("/adopted/token-of-an-adopted", test_token_of_an_adopted);
  g_test_add_func("/adopted/child-token", test_child_token);
  g_test_add_func("/adopted/child-token-of-nothing", test_child_token_of_nothing);
  return g_test_run();
}
