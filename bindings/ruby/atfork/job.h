/* SPDX-License-Identifier: MIT */
/*
 * What is due: Ruby's callbacks for forks that Process._fork did not make.  No Ruby is run from inside fork(), where
 * the VM still believes in threads that are gone; the core's handlers note here what is to run, and a postponed job has
 * it run as soon as the VM goes on.
 */
#ifndef ATFORK_RUBY_JOB_H
#define ATFORK_RUBY_JOB_H

#include <stdbool.h>

/* Whether this thread is inside Process._fork, whose caller runs the callbacks itself.  Written by this thread alone; a
 * child's thread inherits it. */
extern _Thread_local bool job_not_wanted __attribute__((tls_model("initial-exec")));

void job_init(void);

/* The core's callbacks for a struct hook whose parent, or child, is Ruby's. */
void job_parent(void *hook);
void job_child(void *hook);

#endif
