/* SPDX-License-Identifier: MIT */
/*
 * Promise 17: a worker that its launcher has numbered has a place of its own.  It takes it once, so each case is a
 * worker of its own (numbered.h).
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numbered.h"
#include "programs.h"

static void expect(const char *rank, const char *const *set, const char *result, const char *launcher) {
  char **lines = run_quiet_worker(rank, set);
  g_assert_cmpstr(lines[RESULT], ==, result);
  g_assert_cmpstr(lines[LAUNCHER], ==, launcher);
  free(lines);
}

/* ---- By a number ---- */

static void test_place(void) {
  char **lines = run_quiet_worker("3", no_variables);
  g_assert_cmpstr(lines[RESULT], ==, "ok 1 0.r3 adopted abc");
  g_assert_cmpstr(lines[SECOND], ==, "EALREADY 1 0.r3 adopted abc");
  g_assert_cmpstr(lines[LAUNCHER], ==, "");
  g_assert_true(strstr(lines[TOKEN], ":2:0.r3.1:") != NULL);
  free(lines);
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
    expect(table[i].rank, no_variables, table[i].result, "");
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
  free(lines);
}

static void test_launcher_as_snprintf(void) {
  char whole[ROOM], small[ROOM];
  set_variable("PMI_RANK", "12");
  set_variable("PMI_SIZE", "20");
  set_variable("JOB_COMPLETION_INDEX", "12");
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
  set_variable("PMI_RANK", NULL);
  set_variable("PMI_SIZE", NULL);
  set_variable("JOB_COMPLETION_INDEX", NULL);
  g_assert_cmpint(atfork_launcher(small, sizeof small), ==, 0);
  g_assert_cmpstr(small, ==, "");
}

int main(int argc, char **argv) {
  int status;
  if (is_worker(argc, argv, &status)) return status;
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/adopted/place", test_place);
  g_test_add_func("/adopted/ranks", test_ranks);
  g_test_add_func("/adopted/before-the-launchers", test_before_the_launchers);
  for (size_t i = 0; i < G_N_ELEMENTS(launches); i++)
    g_test_add_data_func(path_of("/adopted/launcher/", launches[i].name), &launches[i], test_launch);
  g_test_add_func("/adopted/launcher-as-snprintf", test_launcher_as_snprintf);
  return g_test_run();
}
