/* SPDX-License-Identifier: MIT */
/* What the finders of shared state have in common: each keeps the records of its kind, and judges after the last. */
#ifndef ATFORK_DOCTOR_STATE_H
#define ATFORK_DOCTOR_STATE_H

#include "doctor.h"

void doctor_random_finish(struct doctor *doctor);
void doctor_descriptors_finish(struct doctor *doctor);
void doctor_leaks_finish(struct doctor *doctor);
void doctor_files_finish(struct doctor *doctor);
void doctor_sessions_finish(struct doctor *doctor);

/* When the memory of two processes parted: the later of the two forks, as the log has it; 0: they are one process. */
guint64 state_parted(const struct process *a, const struct process *b);

/* Whether a comes before b: the older process is named first. */
gboolean state_is_older(const struct process *a, const struct process *b);

/* "process 0.1 (pid 17)"; free it. */
char *state_name(const struct process *process);

#endif
