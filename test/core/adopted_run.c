/* SPDX-License-Identifier: MIT */
/* Promise 17: the workers of one launch have one run, and those of another launch another; a user may give it. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numbered.h"
#include "programs.h"

/* ---- The run ---- */

static void test_run_is_drawn(void) {
  uint64_t first = run_of("3", no_variables), second = run_of("3", no_variables);
  g_assert_cmpuint(first, !=, second);
  char **lines = run_quiet_worker("3", no_variables);
  char *after = lines[RUNS] + 17;
  g_assert_true(strncmp(lines[RUNS], after, 16) == 0);
  free(lines);
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
    char *said, set[64];
    size_t count;
    snprintf(set, sizeof set, "ATFORK_RUN=%s", table[i]);
    const char *const only[] = {set, NULL};
    char **first = run_worker("3", only, &said);
    char **line = lines_of(said, &count);
    g_test_message("%s", said);
    g_assert_cmpuint(count, ==, 1);
    g_assert_true(g_str_has_prefix(line[0], "atfork: ATFORK_RUN=") && strstr(line[0], table[i]) != NULL);
    free(said);
    char **second = run_worker("3", only, &said);
    g_assert_cmpstr(first[RUNS], !=, second[RUNS]);
    free(line);
    free(first);
    free(second);
    free(said);
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
  free(run_worker("3", set, &said));
  g_assert_true(g_str_has_prefix(said, "atfork: ATFORK_RUN=9999"));
  g_assert_cmpint((int)strlen(said), <, 200);
  free(said);
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

static const struct job unnamed[] = {
    {"pmi", {"PMI_RANK=0", "PMI_SIZE=2", NULL}, {NULL}},
    {"jsm", {"JSM_NAMESPACE_RANK=0", "JSM_NAMESPACE_SIZE=2", NULL}, {NULL}},
    {"kubernetes", {"JOB_COMPLETION_INDEX=0", NULL}, {NULL}},
    {"torchrun-none", {"RANK=0", "WORLD_SIZE=2", "TORCHELASTIC_RUN_ID=none", NULL}, {NULL}},
    {"torchrun-no-id", {"RANK=0", "WORLD_SIZE=2", NULL}, {NULL}},
    {"slurm-no-job", {"SLURM_PROCID=0", "SLURM_STEP_ID=0", NULL}, {NULL}},
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
  const struct job *job = data;
  g_assert_cmpuint(run_of("-", job->one), !=, run_of("-", job->one));
}

static void test_run_given_before_job(void) {
  static const char *const set[] = {"FLUX_TASK_RANK=0", "FLUX_JOB_ID=1", "ATFORK_RUN=42", NULL};
  g_assert_cmpuint(run_of("-", set), ==, 42);
}

int main(int argc, char **argv) {
  int status;
  if (is_worker(argc, argv, &status)) return status;
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/adopted-run/is-drawn", test_run_is_drawn);
  g_test_add_func("/adopted-run/is-given", test_run_is_given);
  g_test_add_func("/adopted-run/is-no-number", test_run_is_no_number);
  g_test_add_func("/adopted-run/is-empty", test_run_is_empty);
  g_test_add_func("/adopted-run/is-long", test_run_is_long);
  for (size_t i = 0; i < G_N_ELEMENTS(jobs); i++)
    g_test_add_data_func(path_of("/adopted-run/job/", jobs[i].name), &jobs[i], test_job);
  for (size_t i = 0; i < G_N_ELEMENTS(unnamed); i++)
    g_test_add_data_func(path_of("/adopted-run/unnamed/", unnamed[i].name), &unnamed[i], test_unnamed_job);
  g_test_add_func("/adopted-run/long-job", test_long_job);
  g_test_add_func("/adopted-run/given-before-job", test_run_given_before_job);
  return g_test_run();
}
