/* SPDX-License-Identifier: MIT */
/* Workers that are spawned rather than forked: the program in worker.c. */
#ifndef ATFORK_TEST_WORKERS_H
#define ATFORK_TEST_WORKERS_H

enum { ROOM = 1024 /* bytes, for every token */ };

/* The next one, until it is called again. */
const char *take_token(void);

/* Runs a worker with this argument, and with ATFORK_TOKEN set to `variable`, if that is not NULL; its two lines, which
 * free() frees. */
char **run_worker(const char *program, const char *argument, const char *variable);

/* Runs one, and expects it to find itself where `token` says. */
void check_worker(const char *argument, const char *variable, const char *token);

#endif
