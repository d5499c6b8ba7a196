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

/* From when on what `user` does to something that both have is `other`'s matter, too: the fork that `other` comes from,
 * where `user` is the parent, as the log has it.  0: from the beginning. */
guint64 state_parted(const struct process *user, const struct process *other);

gboolean state_is_ancestor(const struct process *old, const struct process *young);

/* When the fork that made it began, ns. */
guint64 state_born(const struct process *process);

/* Whether a comes before b: the older process is named first. */
gboolean state_is_older(const struct process *a, const struct process *b);

/* "process 0.1 (pid 17)"; free it. */
char *state_name(const struct process *process);

#endif
