/* SPDX-License-Identifier: MIT */
/* double-output, deleted-file, exit-handler: output and files of which two processes have copies. */
#include "doctor_state.h"

static struct process *process_numbered(struct doctor *doctor, guint64 number) {
  return g_hash_table_lookup(doctor->model->by_number, GUINT_TO_POINTER((guint)number));
}

/* ---- double-output ---- */

static gboolean is_same_output(const struct record *a, const struct record *b) {
  return b->kind == RECORD_OUTPUT && a->words[0] == b->words[0] && a->words[1] == b->words[1];
}

/* The first process that wrote the same bytes; NULL: this is it. */
static struct later *first_output(struct doctor *doctor, const struct later *later) {
  for (guint i = 0; i < doctor->later->len; i++) {
    struct later *other = g_ptr_array_index(doctor->later, i);
    if (other == later) return NULL;
    if (is_same_output(later->record, other->record) && other->process != later->process) return other;
  }
  return NULL;
}

static void find_output(struct doctor *doctor, const struct later *later) {
  const struct later *other = first_output(doctor, later);
  if (other == NULL) return;
  gboolean swap = state_is_older(later->process, other->process);
  const struct later *older = swap ? later : other, *younger = swap ? other : later;
  const struct record *record = younger->record;
  g_autofree char *name = state_name(older->process);
  struct finding *finding = finding_new("double-output", younger->process,
                                        "%u bytes that were unflushed at the fork (descriptor %u) were written here, "
                                        "and by %s",
                                        (guint)record->words[3], (guint)record->words[2], name);
  struct frames frames;
  record_stack(record, &frames);
  finding_locate(finding, "written here", younger->process, &frames);
  record_stack(older->record, &frames);
  finding_locate(finding, "and here, in the other process", older->process, &frames);
  struct fork_event *fork = model_fork(doctor->model, record->words[0]);
  if (fork != NULL) finding_locate(finding, "the fork", fork->parent, &fork->stack);
  findings_add(doctor->findings, finding);
}

/* ---- deleted-file ---- */

static gboolean is_missed(struct doctor *doctor, const struct record *record) {
  for (guint i = 0; i < doctor->later->len; i++) {
    const struct record *other = ((struct later *)g_ptr_array_index(doctor->later, i))->record;
    if (other->kind == RECORD_DELETED && other->words[0] == record->words[0] && other->words[1] == record->words[1] &&
        other->words[2] == DELETED_MISSED)
      return TRUE;
  }
  return FALSE;
}

/* If its maker has closed a file before the fork, and does not use it again, the file was left to the child. */
static void find_deleted(struct doctor *doctor, const struct later *later) {
  const struct record *record = later->record;
  struct process *maker = process_numbered(doctor, record->words[0]);
  if (maker == NULL || record->words[2] != DELETED_DELETED) return;
  if (maker->end != 0 && maker->end < record->time) return;
  gboolean missed = is_missed(doctor, record), open = record->words[3] != 0;
  if (!missed && !open) return;
  g_autofree char *name = state_name(maker);
  struct finding *finding = finding_new("deleted-file", later->process, "%s is deleted here, and %s made it%s",
                                        record_string(record, 0), name, missed ? " and tries to use it later" : "");
  struct frames frames;
  record_stack(record, &frames);
  finding_locate(finding, "deleted here", later->process, &frames);
  findings_add(doctor->findings, finding);
}

/* ---- exit-handler ---- */

static gboolean is_daemon(const struct process *process, const struct process *owner) {
  for (; process != NULL && process != owner; process = process->parent)
    if (process->how == HOW_DAEMON) return TRUE;
  return FALSE;
}

static gboolean ended_by_underscore(struct doctor *doctor, const struct process *process) {
  for (guint i = 0; i < doctor->later->len; i++) {
    const struct later *later = g_ptr_array_index(doctor->later, i);
    if (later->process == process && later->record->kind == RECORD_EXIT && later->record->words[1] == EXIT_UNDERSCORE &&
        later->record->words[2] == 0)
      return TRUE;
  }
  return FALSE;
}

/* A process that ends by _exit(), as a daemon's parent does, leaves its handlers to its child. */
static void find_handler(struct doctor *doctor, const struct later *later, GHashTable *told) {
  const struct record *record = later->record;
  struct process *owner = process_numbered(doctor, record->words[0]);
  if (owner == NULL || is_daemon(later->process, owner) || ended_by_underscore(doctor, owner)) return;
  if (!g_hash_table_add(told, GUINT_TO_POINTER((guint)record->words[0] ^ (guint)record->words[1]))) return;
  g_autofree char *name = state_name(owner);
  struct finding *finding =
      finding_new("exit-handler", later->process, "a function that %s registered to run at its exit runs here", name);
  if (record->words[2] == 0) finding->severity = SEVERITY_NOTE;
  struct frames frames;
  record_stack(record, &frames);
  finding_locate_at(finding, "the function", later->process, record->words[1]);
  finding_locate(finding, "runs here", later->process, &frames);
  findings_add(doctor->findings, finding);
}

void doctor_files_finish(struct doctor *doctor) {
  GHashTable *told = g_hash_table_new(NULL, NULL); /* an exit handler once for all children */
  for (guint i = 0; i < doctor->later->len; i++) {
    struct later *later = g_ptr_array_index(doctor->later, i);
    if (later->record->kind == RECORD_OUTPUT) find_output(doctor, later);
    if (later->record->kind == RECORD_DELETED) find_deleted(doctor, later);
    if (later->record->kind == RECORD_EXIT_HANDLER) find_handler(doctor, later, told);
  }
  g_hash_table_unref(told);
}
