/* SPDX-License-Identifier: MIT */
/* Records, to findings.  Each file that finds something has a pair of these: for each record, as the log is read, and
 * after the last, when it is known what became of each process.  Records stay valid until the second has returned. */
#ifndef ATFORK_DOCTOR_H
#define ATFORK_DOCTOR_H

#include "finding.h"
#include "model.h"

struct doctor {
  struct model *model;
  struct findings *findings;
  guint64 slow;     /* ns that a handler may take */
  GPtrArray *later; /* of struct later: what is judged at the end */
};

/* A record whose verdict depends on what its process does later. */
struct later {
  struct process *process;
  const struct record *record;
};
void doctor_keep(struct doctor *doctor, struct process *process, const struct record *record);

/* Forks and handlers: missed-handler, slow-handler, unloaded-handler, signal-fork. */
void doctor_forks_finish(struct doctor *doctor);

/* Locks, threads, and those that wait. */
void doctor_locks_record(struct doctor *doctor, struct process *process, const struct record *record);
void doctor_locks_finish(struct doctor *doctor);

/* State that two processes have. */
void doctor_state_record(struct doctor *doctor, struct process *process, const struct record *record);
void doctor_state_finish(struct doctor *doctor);

/* Whether a child went on after its fork as if it were whole: it called what may not be called, and did not exec. */
gboolean doctor_goes_on(const struct process *process);

int doctor_main(int argc, char **argv);

#endif
