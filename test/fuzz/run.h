/* SPDX-License-Identifier: MIT */
/* Runs a program, in real processes. */
#ifndef ATFORK_FUZZ_RUN_H
#define ATFORK_FUZZ_RUN_H

#include <stdbool.h>

enum verdict { SAME, DIFFERENT, TOO_LARGE };

/* Runs shared->program against the library and against the model, and compares; prints where they differ. */
enum verdict run_both(bool prints);

/* In a program that `worker` has spawned, with these words behind its option. */
_Noreturn void run_worker(char **words);

#endif
