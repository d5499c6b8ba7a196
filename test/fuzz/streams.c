/* SPDX-License-Identifier: MIT */
#include "streams.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h" /* the library's own, which test/streams/check.py compares with Python's */

/* ---- Seeds ---- */

static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

uint64_t stream_seed(uint64_t base, const char *text, size_t length) {
  const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
  uint64_t state = mix(base + golden);
  for (size_t i = 0; i < length; i++) state = mix(state + golden + (unsigned char)text[i]);
  return state;
}

void stream_bytes(uint64_t base, const char *lineage, void *to, size_t size) {
  enum { BASE = 8, COUNTER = 4 };
  uint8_t text[sizeof "atfork1:seed:" + BASE + LINEAGE_SIZE + COUNTER] = "atfork1:seed:";
  size_t length = strlen((char *)text);
  for (unsigned i = 0; i < BASE; i++) text[length++] = (uint8_t)(base >> (8 * i));
  memcpy(text + length, lineage, strlen(lineage));
  atfork_mgf1(to, size, text, length + strlen(lineage));
}

/* ---- Launchers ---- */

static const struct launcher {
  const char *number, *beside, *job[2];
} launchers[] = {
    {"SLURM_PROCID", "SLURM_STEP_ID", {"SLURM_JOB_ID", "SLURM_STEP_ID"}},
    {"FLUX_TASK_RANK", "FLUX_JOB_ID", {"FLUX_JOB_ID", NULL}},
    {"PALS_RANKID", "PALS_APID", {"PALS_APID", NULL}},
    {"JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", {NULL, NULL}},
    {"JOB_COMPLETION_INDEX", "JOB_COMPLETION_INDEX", {NULL, NULL}},
    {"PMIX_RANK", "PMIX_NAMESPACE", {"PMIX_NAMESPACE", NULL}},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", {"PMIX_NAMESPACE", "OMPI_MCA_orte_precondition_transports"}},
    {"PMI_RANK", "PMI_SIZE", {NULL, NULL}},
    {"RANK", "WORLD_SIZE", {"TORCHELASTIC_RUN_ID", NULL}},
};
enum { LAUNCHERS = sizeof launchers / sizeof *launchers };

bool stream_number(const char *text, uint64_t *number) {
  char again[24];
  *number = strtoull(text, NULL, 10);
  snprintf(again, sizeof again, "%" PRIu64, *number);
  return strcmp(text, again) == 0;
}

/* NULL where it is not set, or empty. */
static const char *value_of(const char *name) {
  const char *value = getenv(name);
  return value == NULL || value[0] == '\0' ? NULL : value;
}

static bool is_step_of_ranks(const char *step) {
  uint64_t number;
  return stream_number(step, &number) && number < UINT64_C(0x100000000) - 16;
}

static bool is_believed(const struct launcher *launcher) {
  if (value_of(launcher->number) == NULL || value_of(launcher->beside) == NULL) return false;
  return launcher != launchers || is_step_of_ranks(value_of(launcher->beside));
}

int launcher_rank(uint64_t *rank) {
  int count = 0;
  for (int i = 0; i < LAUNCHERS; i++) {
    uint64_t number;
    if (!is_believed(&launchers[i])) continue;
    if (!stream_number(value_of(launchers[i].number), &number)) return EINVAL;
    if (count++ > 0 && number != *rank) return EINVAL;
    *rank = number;
  }
  return count == 0 ? ENOENT : 0;
}

void launcher_show(char to[LAUNCHER_TEXT_SIZE]) {
  to[0] = '\0';
  for (int i = 0; i < LAUNCHERS; i++) {
    const char *name = launchers[i].number;
    size_t length = strlen(to);
    if (!is_believed(&launchers[i])) continue;
    snprintf(to + length, LAUNCHER_TEXT_SIZE - length, "%s%s=%s", length > 0 ? " " : "", name, value_of(name));
  }
}

bool launcher_knows(const char *name, size_t length) {
  for (const struct launcher *launcher = launchers; launcher < launchers + LAUNCHERS; launcher++) {
    const char *const names[] = {launcher->number, launcher->beside, launcher->job[0], launcher->job[1], "ATFORK_RUN"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      if (names[i] != NULL && strlen(names[i]) == length && memcmp(names[i], name, length) == 0) return true;
  }
  return false;
}

/* ---- The run of a job ---- */

static bool read_hexadecimal(const char *text, uint64_t *number) {
  int error = errno;
  errno = 0;
  *number = strtoull(text, NULL, 16);
  bool fits = errno == 0;
  errno = error;
  return fits && text[0] != '\0' && strspn(text, "0123456789abcdefABCDEF") == strlen(text);
}

bool launcher_given_run(uint64_t *run) {
  const char *text = value_of("ATFORK_RUN");
  uint64_t number;
  if (text == NULL) return false;
  bool is_number = strncmp(text, "0x", 2) == 0 ? read_hexadecimal(text + 2, &number) : stream_number(text, &number);
  if (is_number) *run = number;
  return is_number;
}

static bool names_job(const struct launcher *launcher) {
  for (int i = 0; i < 2 && launcher->job[i] != NULL; i++) {
    const char *value = value_of(launcher->job[i]);
    if (value == NULL || strcmp(value, "none") == 0) return false;
  }
  return launcher->job[0] != NULL && is_believed(launcher);
}

bool launcher_run(uint64_t *run) {
  if (launcher_given_run(run)) return true;
  int last = LAUNCHERS - 1;
  while (last >= 0 && !names_job(&launchers[last])) last--;
  if (last < 0) return false;
  *run = 0;
  for (int i = 0; i < 2 && launchers[last].job[i] != NULL; i++) {
    const char *name = launchers[last].job[i], *value = value_of(name);
    *run = stream_seed(*run, name, strlen(name));
    *run = stream_seed(*run, value, strlen(value));
  }
  return true;
}
