/* SPDX-License-Identifier: MIT */
/* Runs a program, in real processes. */
#ifndef ATFORK_FUZZ_RUN_H
#define ATFORK_FUZZ_RUN_H

#include <stdbool.h>

enum verdict { SAME, DIFFERENT, TOO_LARGE };

/* Runs shared->program against the library and against the model, and compares; prints where they differ. */
enum verdict run_both(bool prints);

/* Called first by a program that runs others: which may be one that a run has spawned, and does not return then. */
void run_prepare(int argc, char **argv);

#endif
