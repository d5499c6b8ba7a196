/* SPDX-License-Identifier: MIT */
#include "numbered.h"
#include "programs.h"

#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* A worker of a numbered one finds itself where that one's token says; then it knows its place. */
static int be_spawned(const char *token) {
  g_assert_cmpint(atfork_spawned(token), ==, 0);
  g_assert_cmpint(atfork_place(), ==, ATFORK_SPAWNED);
  g_assert_cmpint(atfork_adopt("3"), ==, -1);
  g_assert_cmpint(errno, ==, EALREADY);
  printf("%016" PRIx64 "\n", atfork_run());
  return 0;
}

bool is_worker(int argc, char **argv, int *status) {
  program = argv[0];
  if (argc == 3 && strcmp(argv[1], "--worker") == 0) {
    *status = be_worker(argv[2]);
    return true;
  }
  if (argc == 3 && strcmp(argv[1], "--spawned") == 0) {
    *status = be_spawned(argv[2]);
    return true;
  }
  for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) set_variable(variables[i], NULL);
  return false;
}

/* ---- Running one ---- */

char **run_worker(const char *rank, const char *const *set, char **said) {
  char *out;
  size_t count;
  int status = run_program((const char *const[]){program, "--worker", rank, NULL}, set, &out, said);
  if (status != 0) g_error("worker %s ended with %d: %s", rank, status, *said);
  char **lines = lines_of(out, &count);
  g_assert_cmpuint(count, ==, LINES);
  free(out);
  return lines;
}

char **run_quiet_worker(const char *rank, const char *const *set) {
  char *said;
  char **lines = run_worker(rank, set, &said);
  g_assert_cmpstr(said, ==, "");
  free(said);
  return lines;
}

uint64_t run_of(const char *rank, const char *const *set) {
  char **lines = run_quiet_worker(rank, set);
  g_assert_cmpint((int)strlen(lines[RUNS]), ==, 33);
  uint64_t found = strtoull(lines[RUNS] + 17, NULL, 16);
  free(lines);
  return found;
}

char *run_of_spawned(const char *token) {
  char *out;
  expect_program_passes((const char *const[]){program, "--spawned", token, NULL}, &out, NULL);
  out[strcspn(out, "\n")] = '\0';
  return out;
}

const char *const no_variables[] = {NULL};

const char *path_of(const char *folder, const char *name) {
  static char path[128];
  g_snprintf(path, sizeof path, "%s%s", folder, name);
  return path;
}
