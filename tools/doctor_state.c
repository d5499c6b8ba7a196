/* SPDX-License-Identifier: MIT */
/* State that two processes have: random numbers, descriptors, files, what runs at exit, sessions. */
#include "doctor.h"

void doctor_state_record(struct doctor *doctor, struct process *process, const struct record *record) {
  (void)doctor;
  (void)process;
  (void)record;
}

void doctor_state_finish(struct doctor *doctor) {
  (void)doctor;
}
