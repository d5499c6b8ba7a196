/* SPDX-License-Identifier: MIT */
/*
 * Runs callbacks after forks that did not use Process._fork.  Ruby code never runs inside fork(), where the VM still
 * lists threads that are gone.  A postponed job runs it as soon as the VM goes on.
 */
#ifndef ATFORK_RUBY_JOB_H
#define ATFORK_RUBY_JOB_H

#include <stdbool.h>

/* Whether a job should run callbacks.  False in a fork by Process._fork, which runs them itself; and after Ruby has
 * ended, as libraries that are finalised later may still fork. */
bool job_is_wanted(void);

/* The first notes that a callback is due; the second returns whether one has become due since its last call. */
void job_post(void);
bool job_take(void);

#endif
