/* SPDX-License-Identifier: MIT */
#include "launcher.h"

#include <errno.h>
#include <string.h>

#include "lineage.h"
#include "os.h"

/*
 * A rank counts only beside a second variable of its launcher: Slurm's rank stays in the environment of programs that
 * run outside of its steps, and any program may use the name RANK.  LOCAL_RANK and the like are not in the table, as
 * they repeat on each node.  `job` is empty if the launcher does not name jobs uniquely.  A launcher that starts other
 * launchers stands before them.
 */
static const struct launcher {
  const char *rank, *beside;
  const char *job[2]; /* one variable, or two that name the job together */
} launchers[] = {
    {"SLURM_PROCID", "SLURM_STEP_ID", {"SLURM_JOB_ID", "SLURM_STEP_ID"}},
    {"FLUX_TASK_RANK", "FLUX_JOB_ID", {"FLUX_JOB_ID", NULL}},
    {"PALS_RANKID", "PALS_APID", {"PALS_APID", NULL}},
    {"JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", {NULL, NULL}},
    {"JOB_COMPLETION_INDEX", "JOB_COMPLETION_INDEX", {NULL, NULL}}, /* Kubernetes */
    {"PMIX_RANK", "PMIX_NAMESPACE", {"PMIX_NAMESPACE", NULL}},
    /* Open MPI 4 makes the name of a job of its pid: there are only 65,536.  So the random key of the job counts, too.
     */
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", {"PMIX_NAMESPACE", "OMPI_MCA_orte_precondition_transports"}},
    {"PMI_RANK", "PMI_SIZE", {NULL, NULL}},                /* MPICH's Hydra, Intel MPI */
    {"RANK", "WORLD_SIZE", {"TORCHELASTIC_RUN_ID", NULL}}, /* torchrun */
};

enum { LAUNCHERS = sizeof launchers / sizeof *launchers };

/* A variable; NULL if it is not set, or empty.  On Windows the next call overwrites the text. */
static const char *get(const char *name) {
  const char *found = atfork_os_environment(name);
  return found == NULL || found[0] == '\0' ? NULL : found;
}

bool atfork_launcher_number(const char *text, uint64_t *number) {
  const char *end = text + strlen(text);
  return atfork_read_number(text, end, number) == end;
}

/* Slurm gives the last sixteen 32-bit numbers to what is not a step with ranks: a batch script, an interactive shell.
 */
static bool is_step(const char *text) {
  const uint64_t special = UINT64_C(0xfffffff0);
  uint64_t step;
  return atfork_launcher_number(text, &step) && step < special;
}

/* The rank that this launcher gives; NULL if none, or if it does not count. */
static const char *rank_of(const struct launcher *launcher) {
  const char *beside = get(launcher->beside);
  if (beside == NULL || (strcmp(launcher->beside, "SLURM_STEP_ID") == 0 && !is_step(beside))) return NULL;
  return get(launcher->rank);
}

int atfork_launcher_rank(uint64_t *rank) {
  unsigned count = 0;
  for (unsigned i = 0; i < LAUNCHERS; i++) {
    uint64_t number;
    const char *text = rank_of(&launchers[i]);
    if (text == NULL) continue;
    if (!atfork_launcher_number(text, &number) || (count++ > 0 && number != *rank)) return EINVAL;
    *rank = number;
  }
  return count > 0 ? 0 : ENOENT;
}

/* torchrun sets "none" if the job has no name. */
static bool has_job(const struct launcher *launcher, uint64_t *job) {
  uint64_t digest = 0;
  for (unsigned i = 0; i < 2 && launcher->job[i] != NULL; i++) {
    const char *value = get(launcher->job[i]);
    if (value == NULL || strcmp(value, "none") == 0) return false;
    digest = atfork_lineage_hash(digest, launcher->job[i], strlen(launcher->job[i]));
    digest = atfork_lineage_hash(digest, value, strlen(value));
  }
  *job = digest;
  return launcher->job[0] != NULL;
}

/* The name that the innermost launcher gives: an outer launcher may start two jobs under one name, or name one job
 * differently on each node. */
bool atfork_launcher_job(uint64_t *job) {
  for (unsigned i = LAUNCHERS; i-- > 0;)
    if (rank_of(&launchers[i]) != NULL && has_job(&launchers[i], job)) return true;
  return false;
}

/* ---- As text ---- */

struct text {
  char *at;
  size_t size, length;
};

static void append(struct text *text, const char *part) {
  for (; *part != '\0'; part++, text->length++)
    if (text->length + 1 < text->size) text->at[text->length] = *part;
}

size_t atfork_launcher_show(char *buf, size_t size) {
  struct text text = {buf, size, 0};
  for (unsigned i = 0; i < LAUNCHERS; i++) {
    const char *rank = rank_of(&launchers[i]);
    if (rank == NULL) continue;
    if (text.length > 0) append(&text, " ");
    append(&text, launchers[i].rank);
    append(&text, "=");
    append(&text, rank);
  }
  if (size > 0) buf[text.length < size ? text.length : size - 1] = '\0';
  return text.length;
}
