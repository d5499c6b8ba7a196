/* SPDX-License-Identifier: MIT */
/* Common parts of the finders of shared state.  Each keeps the records of its kind, and judges after the last
 * record. */
#ifndef ATFORK_DOCTOR_STATE_H
#define ATFORK_DOCTOR_STATE_H

#include "doctor.h"

void doctor_random_finish(struct doctor *doctor);
void doctor_descriptors_finish(struct doctor *doctor);
void doctor_leaks_finish(struct doctor *doctor);
void doctor_files_finish(struct doctor *doctor);
void doctor_sessions_finish(struct doctor *doctor);

/* From when on a use by `user` concerns `other`, too.  If `user` is the parent, this is the fork that `other` comes
 * from; otherwise 0, the beginning. */
guint64 state_parted(const struct process *user, const struct process *other);

gboolean state_is_ancestor(const struct process *old, const struct process *young);

/* When the fork that made it began, ns. */
guint64 state_born(const struct process *process);

/* Whether a comes before b: the older process is named first. */
gboolean state_is_older(const struct process *a, const struct process *b);

/* "process 0.1 (pid 17)"; free it. */
char *state_name(const struct process *process);

#endif
