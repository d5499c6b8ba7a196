/* SPDX-License-Identifier: MIT */
/* Locks, threads, and those that wait: dead-lock, held-lock, lost-thread, lost-waiter, endless-wait. */
#include "doctor.h"

void doctor_locks_record(struct doctor *doctor, struct process *process, const struct record *record) {
  (void)doctor;
  (void)process;
  (void)record;
}

void doctor_locks_finish(struct doctor *doctor) {
  (void)doctor;
}
