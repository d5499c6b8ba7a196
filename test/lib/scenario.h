/* SPDX-License-Identifier: MIT */
/*
 * What the tests of every language call to make real processes.  Plain C functions of ints and strings, for FFIs.
 */
#ifndef ATFORK_TEST_SCENARIO_H
#define ATFORK_TEST_SCENARIO_H

/* Forks by "fork", "_Fork", "syscall" or "clone": as fork(). */
int scenario_fork(const char *way);

/* The same, and then calls a function in the child, as PyOS_AfterFork_Child(). */
int scenario_fork_and_tell(const char *way, void (*in_child)(void));

/* The exit status of a child, or 1000 + the signal that ended it. */
int scenario_wait(int pid);

/* Ends this process without a word. */
void scenario_exit(int status);

/* Forks in a thread of its own; there the child ends at once.  How that ended, as scenario_wait(). */
int scenario_fork_in_thread(const char *way);

/* The same by fork(); how often scenario_count() ran in this process meanwhile, before any interpreter goes on. */
int scenario_counted_by_fork(void);

/* Forks when this process ends, after all that was to be done at its end before this call.  The status of both is 42
 * when scenario_counted() is one more in the child; 0 when that could be had. */
int scenario_fork_at_exit(void);

/* Makes processes by vfork() and posix_spawn(), which are not forks; 0 when that went well. */
int scenario_spawn(void);

/* From now on every fork in this process fails with this errno; 0 when that could be had. */
int scenario_forbid_forks(int error);

/* A callback for C-side hooks, and how often it ran in this process. */
void scenario_count(void *data);
int scenario_counted(void);

/* Another, and whether it was called with data: 0 for NULL, -1 when it was not called. */
void scenario_note_data(void *data);
int scenario_noted(void);

/* The same, but notes the int that data points to. */
void scenario_note_number(void *data);

/* A callback that forks by this way, once, and waits for that child; scenario_noted() is how it ended.  The child goes
 * on with what the callback is in the middle of. */
void scenario_fork_inside(void *way);

/* KiB of memory that this process has of its own, exactly; -1 where the system does not tell.  /proc/self/statm is not
 * exact: each processor adds what it has counted only now and then. */
int scenario_resident(void);

/* Not a function. */
extern int scenario_data;

#endif
