/* SPDX-License-Identifier: MIT */
/* State that two processes have: random numbers, descriptors, files, what runs at exit, sessions. */
#include "doctor_state.h"

guint64 state_born(const struct process *process) {
  return process->birth == NULL ? process->born : process->birth->time;
}

gboolean state_is_ancestor(const struct process *old, const struct process *young) {
  for (; young != NULL; young = young->parent)
    if (young == old) return TRUE;
  return FALSE;
}

guint64 state_parted(const struct process *user, const struct process *other) {
  for (; other != NULL && other->parent != NULL; other = other->parent)
    if (other->parent == user) return state_born(other);
  return 0;
}

gboolean state_is_older(const struct process *a, const struct process *b) {
  return a->id < b->id;
}

char *state_name(const struct process *process) {
  return g_strdup_printf("process %s (pid %d)", process->lineage, process->pid);
}

void doctor_state_record(struct doctor *doctor, struct process *process, const struct record *record) {
  switch ((enum record_kind)record->kind) {
    case RECORD_DRAWN:
    case RECORD_DESCRIPTOR:
    case RECORD_LEAKED:
    case RECORD_OUTPUT:
    case RECORD_DELETED:
    case RECORD_EXIT:
    case RECORD_WAITED:
    case RECORD_EXIT_HANDLER:
    case RECORD_LIBRARY:
      doctor_keep(doctor, process, record);
      break;
    default:
      break;
  }
}

void doctor_state_finish(struct doctor *doctor) {
  doctor_random_finish(doctor);
  doctor_descriptors_finish(doctor);
  doctor_leaks_finish(doctor);
  doctor_files_finish(doctor);
  doctor_sessions_finish(doctor);
}
