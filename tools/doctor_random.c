/* SPDX-License-Identifier: MIT */
/* same-random: two processes drew the same number at the same place of the same generator's numbers. */
#include "doctor_state.h"

static guint place_hash(gconstpointer key) {
  const struct record *record = ((const struct later *)key)->record;
  guint64 hash = 0;
  for (guint i = 0; i < 4; i++) hash = (hash ^ record->words[i]) * 0x9e3779b97f4a7c15U;
  return (guint)(hash >> 32);
}

/* Where the state is, the place, the count, and the number. */
static gboolean place_equal(gconstpointer one, gconstpointer other) {
  const struct record *a = ((const struct later *)one)->record, *b = ((const struct later *)other)->record;
  for (guint i = 0; i < 4; i++)
    if (a->words[i] != b->words[i]) return FALSE;
  return TRUE;
}

/* No process drew from it before the fork, and none has seeded it. */
static gboolean is_first_of_unseeded(const struct record *record) {
  return (record->words[4] & DRAWN_UNSEEDED) != 0 && record->words[2] == 0;
}

static void find_same(struct doctor *doctor, const struct later *first, const struct later *second) {
  const struct later *older = state_is_older(first->process, second->process) ? first : second;
  const struct later *younger = older == first ? second : first;
  g_autofree char *name = state_name(older->process);
  gboolean in_each_run = is_first_of_unseeded(younger->record) || is_first_of_unseeded(older->record);
  struct finding *finding = finding_new("same-random", younger->process, "%s() gave the same number here and in %s%s",
                                        record_string(younger->record, 0), name,
                                        in_each_run ? ", as it does in each run: nobody seeded it" : "");
  if (in_each_run) finding->severity = SEVERITY_WARNING; /* perhaps it is meant to */
  struct frames frames;
  record_stack(younger->record, &frames);
  finding_locate(finding, "drawn here", younger->process, &frames);
  record_stack(older->record, &frames);
  finding_locate(finding, "and here, in the other process", older->process, &frames);
  findings_add(doctor->findings, finding);
}

static gboolean is_judged(const struct later *later) {
  return later->record->kind == RECORD_DRAWN && (later->record->words[4] & DRAWN_OWN) == 0;
}

void doctor_random_finish(struct doctor *doctor) {
  GHashTable *places = g_hash_table_new(place_hash, place_equal);
  GHashTable *told = g_hash_table_new(NULL, NULL); /* a process once for all that it drew */
  for (guint i = 0; i < doctor->later->len; i++) {
    struct later *later = g_ptr_array_index(doctor->later, i);
    if (!is_judged(later)) continue;
    struct later *other = g_hash_table_lookup(places, later);
    if (other == NULL)
      g_hash_table_add(places, later);
    else if (other->process != later->process && g_hash_table_add(told, later->process))
      find_same(doctor, other, later);
  }
  g_hash_table_unref(places);
  g_hash_table_unref(told);
}
