/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's counters lie in each process's own memory, and a program is run by many.  So each adds its counters to
 * those in memory that all share, and the first takes them from there.
 */
#ifndef ATFORK_GUIDED_SEEN_H
#define ATFORK_GUIDED_SEEN_H

/* Before a run, in a process before it ends, and after the run. */
void seen_begin(void);
void seen_add(void);
void seen_take(void);

#endif
