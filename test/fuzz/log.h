/* SPDX-License-Identifier: MIT */
/*
 * What the processes of a run write down, in memory that all of them share: each its own lines, under its path.
 *
 * "0" is the first process, "0/2" the child that its second fork made: whichever way, so that the processes of
 * the library's run and those of the model's have the same paths.
 */
#ifndef ATFORK_FUZZ_LOG_H
#define ATFORK_FUZZ_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ops.h"

enum { PATH_SIZE = 48, LINE_SIZE = 72, LINES = 384, PROCESSES = 128, BASE_SIZE = 1024, SEEN = 1 << 13 };

struct process_log {
  char path[PATH_SIZE];
  unsigned count; /* of lines, of which the first are kept */
  uint64_t digest;
  char lines[LINES][LINE_SIZE];
};

struct run_log {
  _Atomic unsigned processes;
  struct process_log of[PROCESSES];
};

struct shared {
  struct program program;
  char base[BASE_SIZE]; /* the lineage of the first process */
  uint64_t run;
  _Atomic bool is_too_large; /* the program makes more processes than there is room for */
  _Atomic uint64_t operations, forks;
  struct run_log logs[2];
  unsigned char seen[SEEN]; /* where the library's code was run, in all processes: for who watches that */
};

extern struct shared *shared;
extern int shared_file;
void shared_make(void);
void shared_open(int file);

/* This process writes to this log from now on; it is the first, or that of `path`. */
void log_begin(struct run_log *log, const char *path);

/* Before each fork, and after it with what that returned.  What the next process is called. */
unsigned log_fork_begins(void);
void log_fork_ends(unsigned before);
void log_name_child(char *path);

/* How many lie between this process and the first. */
unsigned log_depth(void);

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the first difference; false when there is none. */
bool log_differs(bool prints);

/* The last lines of each process; 0: all. */
void log_print(const struct run_log *log, unsigned lines);

#endif
