/* SPDX-License-Identifier: MIT */
/* From records to findings.  Each file that finds something has two functions: one for each record, while the log is
 * read, and one after the last record, when the end of each process is known.  Records stay valid until the second has
 * returned. */
#ifndef ATFORK_DOCTOR_H
#define ATFORK_DOCTOR_H

#include "finding.h"
#include "model.h"

struct doctor {
  struct model *model;
  struct findings *findings;
  guint64 slow;         /* ns that a handler may take */
  GPtrArray *later;     /* of struct later: what is judged at the end */
  GHashTable *sleepers; /* struct process -> struct sleeper: those that may hang */
  gint64 looked;        /* us: when they were last looked for */
};

/* A record whose verdict depends on what its process does later. */
struct later {
  struct process *process;
  const struct record *record;
};
void doctor_keep(struct doctor *doctor, struct process *process, const struct record *record);

/* Forks and handlers: missed-handler, slow-handler, unloaded-handler, signal-fork. */
void doctor_forks_finish(struct doctor *doctor);

/* Locks, threads, and waiting. */
void doctor_locks_record(struct doctor *doctor, struct process *process, const struct record *record);
void doctor_locks_finish(struct doctor *doctor);
const char *doctor_pool(
    const char *path); /* the name of the library whose threads this object starts; NULL: not known */
gboolean doctor_has_lost(const struct doctor *doctor, const struct process *process, const char *pool);

/* Children that hang where nothing is watched; to be called now and then. */
gboolean doctor_look_for_hung(gpointer doctor);

/* State that two processes share or have copies of. */
void doctor_state_record(struct doctor *doctor, struct process *process, const struct record *record);
void doctor_state_finish(struct doctor *doctor);

/* Whether a child went on after its fork as a whole program does: it called functions that may not be called then, and
 * did not exec. */
gboolean doctor_goes_on(const struct process *process);

int doctor_main(int argc, char **argv);

#endif
