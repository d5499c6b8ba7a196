/* SPDX-License-Identifier: MIT */
/* shared-session and cuda-before-fork: state that libraries keep in memory, and that a child has a copy of. */
#include "doctor_state.h"

static const char *session_name(enum library library) {
  switch (library) {
    case LIBRARY_TLS:
      return "a TLS session";
    case LIBRARY_SQLITE:
      return "an SQLite connection";
    case LIBRARY_POSTGRESQL:
      return "a connection to PostgreSQL";
    default:
      return "CUDA";
  }
}

static struct process *opener_of(struct doctor *doctor, const struct record *record) {
  guint number = (guint)(record->words[0] == LIBRARY_CUDA ? record->words[1] : record->words[1] >> 32);
  return g_hash_table_lookup(doctor->model->by_number, GUINT_TO_POINTER(number));
}

static void tell(struct doctor *doctor, const char *rule, const struct later *user, const struct later *other,
                 const struct process *opener) {
  const struct record *record = user->record;
  const char *what = session_name((enum library)record->words[0]);
  g_autofree char *name = state_name(other != NULL ? other->process : opener);
  struct finding *finding =
      finding_new(rule, user->process, "%s that %s %s is used here, by %s()", what, name,
                  other != NULL && other->process != opener ? "uses" : "opened", record_string(record, 0));
  struct frames frames;
  record_stack(record, &frames);
  finding_locate(finding, "used here", user->process, &frames);
  if (other != NULL) {
    record_stack(other->record, &frames);
    finding_locate(finding, "and here, in the other process", other->process, &frames);
  }
  findings_add(doctor->findings, finding);
}

/* Any use in a child is a fault, even if its parent does not use the session: the documents of these libraries say
 * so. */
static gboolean is_for_opener(enum library library) {
  return library == LIBRARY_SQLITE || library == LIBRARY_CUDA;
}

/* Another process that uses the same session while both have it; NULL: none. */
static const struct later *other_user(struct doctor *doctor, const struct later *later) {
  for (guint i = 0; i < doctor->later->len; i++) {
    const struct later *other = g_ptr_array_index(doctor->later, i);
    if (other->record->kind != RECORD_LIBRARY || other->process == later->process) continue;
    if (other->record->words[0] != later->record->words[0] || other->record->words[1] != later->record->words[1])
      continue;
    guint64 parted = state_parted(other->process, later->process);
    if (other->record->time > parted && later->record->time > parted && state_is_older(other->process, later->process))
      return other;
  }
  return NULL;
}

static void find_session(struct doctor *doctor, const struct later *later, GHashTable *told) {
  enum library library = (enum library)later->record->words[0];
  const struct process *opener = opener_of(doctor, later->record);
  const struct later *other = library == LIBRARY_CUDA ? NULL : other_user(doctor, later);
  if (opener == later->process || (other == NULL && !is_for_opener(library))) return;
  if (opener == NULL || !g_hash_table_add(told, later->process)) return;
  tell(doctor, library == LIBRARY_CUDA ? "cuda-before-fork" : "shared-session", later, other, opener);
}

void doctor_sessions_finish(struct doctor *doctor) {
  GHashTable *told = g_hash_table_new(NULL, NULL); /* a process once for all its sessions */
  for (guint i = 0; i < doctor->later->len; i++) {
    struct later *later = g_ptr_array_index(doctor->later, i);
    if (later->record->kind == RECORD_LIBRARY) find_session(doctor, later, told);
  }
  g_hash_table_unref(told);
}
