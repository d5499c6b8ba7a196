/* SPDX-License-Identifier: MIT */
/* What the launcher of a parallel job (srun, mpirun, torchrun, …) says of this process, in its environment. */
#ifndef ATFORK_LAUNCHER_H
#define ATFORK_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number that `text` is: decimal digits, no more of them than it needs; false if it is none. */
bool atfork_launcher_number(const char *text, uint64_t *number);

/* The number of this process in its job; 0, ENOENT when no launcher gives one, EINVAL when two give different ones, or
 * one something else. */
int atfork_launcher_rank(uint64_t *rank);

/* A digest of the job's name, which all its processes have in common; false when no launcher gives one. */
bool atfork_launcher_job(uint64_t *job);

/* As atfork_launcher(). */
size_t atfork_launcher_show(char *buf, size_t size);

#endif
