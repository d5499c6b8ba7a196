/* SPDX-License-Identifier: MIT */
/* State that two processes have: random numbers, descriptors, files, what runs at exit, sessions. */
#include "doctor_state.h"

static guint depth_of(const struct process *process) {
  guint depth = 0;
  for (; process->parent != NULL; process = process->parent) depth++;
  return depth;
}

static guint64 born(const struct process *process) {
  return process->birth == NULL ? process->born : process->birth->time;
}

guint64 state_parted(const struct process *a, const struct process *b) {
  guint64 parted = 0;
  guint of_a = depth_of(a), of_b = depth_of(b);
  while (a != b) {
    const struct process **deeper = of_a >= of_b ? &a : &b;
    guint *depth = of_a >= of_b ? &of_a : &of_b;
    if (*depth == 0) return parted;
    parted = MAX(parted, born(*deeper));
    *deeper = (*deeper)->parent;
    --*depth;
  }
  return parted;
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
