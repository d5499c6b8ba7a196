/* SPDX-License-Identifier: MIT */
/*
 * Workers that a launcher has numbered: this program again, as  PROGRAM --worker RANK,  with the launcher's variables.
 */
#ifndef ATFORK_TEST_NUMBERED_H
#define ATFORK_TEST_NUMBERED_H

#include <stdbool.h>
#include <stdint.h>

enum { ROOM = 1024, VARIABLES = 6 };

/* First in main(): whether this is a worker, which has said what it found and ends by `status`; else no launcher's
 * variables are set any more. */
bool is_worker(int argc, char **argv, int *status);

/* The lines that it says. */
enum { RESULT, SECOND, LAUNCHER, RUNS, TOKEN, LINES };

/* `set` is NAME=VALUE …, NULL at the end.  What it said on stderr goes to `said`, or is to be nothing. */
char **run_worker(const char *rank, const char *const *set, char **said);
char **run_quiet_worker(const char *rank, const char *const *set);
uint64_t run_of(const char *rank, const char *const *set);
extern const char *const no_variables[];

/* Of `PROGRAM --spawned TOKEN`: the run that it says. */
char *run_of_spawned(const char *token);

/* Until the next one: what it is handed to copies it. */
const char *path_of(const char *folder, const char *name);

#endif
