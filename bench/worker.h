/* SPDX-License-Identifier: MIT */
/*
 * A process of its own that measures when it is asked: what pthread_atfork() has registered cannot be taken
 * back, and two programs can be compared only side by side.
 *
 * It is asked by a line, "go", and answers with a line of numbers; "end", or the end of its input, ends it.
 */
#ifndef ATFORK_BENCH_WORKER_H
#define ATFORK_BENCH_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "bench.h"

struct worker {
  pid_t pid;
  FILE *to, *from;
};

/* In a child of this process, which runs the job's setup first; or by a command of the shell. */
void worker_start(struct worker *worker, const struct job *job);
void worker_start_command(struct worker *worker, const char *command);

/* Asks for VALUES_MAX values; NAN stands for those that it did not give.  False if it gave none. */
bool worker_measure(struct worker *worker, double *values);
void worker_end(struct worker *worker);

/* Asks each in turn; the first answers, taken to warm up, are not counted. */
void workers_interleave(struct worker *workers, struct results *results, size_t count, long rounds);

/* The same by commands, each time in a fresh process: where things come to lie in one by chance is worth a page fault
 * or two. */
enum { COMMAND_MAX = 4096 };
void commands_interleave(char (*commands)[COMMAND_MAX], struct results *results, size_t count, long rounds);

/* What a worker is inside: answers until it is told to end. */
void worker_serve(const struct job *job, FILE *from, FILE *to);

#endif
