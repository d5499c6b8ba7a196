/* SPDX-License-Identifier: MIT */
/* What a fork() of this process costs as it is. */
#ifndef ATFORK_BENCH_FORKED_H
#define ATFORK_BENCH_FORKED_H

enum fork_value {
  FORK_START, /* ns from before fork() to the child's first own instruction */
  FORK_WHOLE, /* ns from before fork() until the child, which ends at once, was waited for */
  FORK_CHILD_FAULTS,
  FORK_PARENT_FAULTS,
  FORK_VALUES,
};

/* Medians over that many forks. */
void measure_forks(long forks, double *values);

#endif
