/* SPDX-License-Identifier: MIT */
/*
 * When Ruby runs what a fork has made due that Process._fork did not make.  No Ruby is run from inside fork(), where
 * the VM still believes in threads that are gone; a postponed job runs it, as soon as the VM goes on.
 */
#ifndef ATFORK_RUBY_JOB_H
#define ATFORK_RUBY_JOB_H

#include <stdbool.h>

/* Whether it is to run callbacks.  Not in a fork of Process._fork, which does so itself; nor when Ruby has ended, as
 * libraries that are finalised after it may still fork. */
bool job_is_wanted(void);

/* Something is due; and has been since the last job_take(). */
void job_post(void);
bool job_take(void);

#endif
