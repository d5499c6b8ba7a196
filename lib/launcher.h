/* SPDX-License-Identifier: MIT */
/* What the launcher of a parallel job (srun, mpirun, torchrun, ...) says about this process in the environment. */
#ifndef ATFORK_LAUNCHER_H
#define ATFORK_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a number: decimal digits without leading zeros.  False if `text` is anything else. */
bool atfork_launcher_number(const char *text, uint64_t *number);

/* Reads the number of this process in its job.  Returns 0; ENOENT if no launcher gives a number; EINVAL if two give
 * different numbers, or one gives something else. */
int atfork_launcher_rank(uint64_t *rank);

/* A digest of the job's name, the same in all processes of the job.  False if no launcher names the job. */
bool atfork_launcher_job(uint64_t *job);

/* See atfork_launcher(). */
size_t atfork_launcher_show(char *buf, size_t size);

#endif
