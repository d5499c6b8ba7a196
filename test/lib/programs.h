/* SPDX-License-Identifier: MIT */
/* Runs a program to its end for a test, and returns what the program wrote. */
#ifndef ATFORK_TEST_PROGRAMS_H
#define ATFORK_TEST_PROGRAMS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Runs a program by its path, which is its first argument; NULL is at the end of these.  `set` is NAME=VALUE …, NULL at
 * the end: variables that it has beside those of this process.  Returns its exit status; what ends otherwise fails the
 * test.  What it, and those that it leaves behind, wrote to stdout is to be freed; so is what it wrote to stderr, which
 * goes where this process's goes if `err` is NULL.
 */
int run_program(const char *const *arguments, const char *const *set, char **out, char **err);

/* The same, with no more variables, for a program that must exit with 0. */
void expect_program_passes(const char *const *arguments, char **out, char **err);

/* The lines of a text, each without its end, and how many there are; free() frees them all. */
char **lines_of(const char *text, size_t *count);

/* Sets a variable of the environment, or takes it away, where `value` is NULL. */
void set_variable(const char *name, const char *value);

/* What differs between systems: programs_posix.c, programs_windows.c.  Starts a program whose stdout and stderr are
 * these descriptors; and waits for its exit status, which is -1 when it ended otherwise, or was not started. */
intptr_t start_program(const char *const *arguments, int out, int err);
int wait_for_program(intptr_t started);
/* No program that is started gets what these open, but as said above. */
int open_pipe(int ends[2]);
int open_temporary(void);

#endif
