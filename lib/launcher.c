/* SPDX-License-Identifier: MIT */
#include "launcher.h"

#include <errno.h>
#include <string.h>

#include "lineage.h"
#include "os.h"

/*
 * A rank is believed only beside a variable that its launcher sets too: Slurm's stays in the environment of what runs
 * outside of its steps, and RANK may be anybody's.  LOCAL_RANK and its like are not here, as they repeat on each node.
 * A launcher that names no job, or names two by one name, has no `job`.  Those that start others come first.
 */
static const struct launcher {
  const char *rank, *beside;
  const char *job[2]; /* one, or both together */
} launchers[] = {
    {"SLURM_PROCID", "SLURM_STEP_ID", {"SLURM_JOB_ID", "SLURM_STEP_ID"}},
    {"FLUX_TASK_RANK", "FLUX_JOB_ID", {"FLUX_JOB_ID", NULL}},
    {"PALS_RANKID", "PALS_APID", {"PALS_APID", NULL}},
    {"JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", {NULL, NULL}},
    {"JOB_COMPLETION_INDEX", "JOB_COMPLETION_INDEX", {NULL, NULL}}, /* Kubernetes */
    {"PMIX_RANK", "PMIX_NAMESPACE", {"PMIX_NAMESPACE", NULL}},
    /* Open MPI 4: of its jobs' names there are 65,536, by the pid; the key that it draws for its transports is new. */
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", {"PMIX_NAMESPACE", "OMPI_MCA_orte_precondition_transports"}},
    {"PMI_RANK", "PMI_SIZE", {NULL, NULL}},                /* MPICH's Hydra, Intel MPI */
    {"RANK", "WORLD_SIZE", {"TORCHELASTIC_RUN_ID", NULL}}, /* torchrun */
};

enum { LAUNCHERS = sizeof launchers / sizeof *launchers };

/* NULL for none, and for nothing.  On Windows it is overwritten at the next look at the environment. */
static const char *get(const char *name) {
  const char *found = atfork_os_environment(name);
  return found == NULL || found[0] == '\0' ? NULL : found;
}

bool atfork_launcher_number(const char *text, uint64_t *number) {
  const char *end = text + strlen(text);
  return atfork_read_number(text, end, number) == end;
}

/* The last sixteen numbers of 32 bits are Slurm's for what is no step of ranks: a batch script, an interactive shell.
 */
static bool is_step(const char *text) {
  const uint64_t special = UINT64_C(0xfffffff0);
  uint64_t step;
  return atfork_launcher_number(text, &step) && step < special;
}

/* What this launcher says; NULL: nothing that is believed. */
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

/* "none" is what torchrun says when it was given no name. */
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

/* Of the innermost: one that starts others may be the same for two that it starts, or another on each node. */
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
