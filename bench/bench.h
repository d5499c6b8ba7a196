/* SPDX-License-Identifier: MIT */
/*
 * What all benchmarks share: interleaved rounds, medians with their spread, and a line of output for each figure.
 * Knows nothing of libatfork, so that a program without it can be measured too.
 */
#ifndef ATFORK_BENCH_H
#define ATFORK_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROUNDS_MAX = 101, VALUES_MAX = 6 };

/* Whether --quick is among the arguments: few rounds of little, to see that it runs. */
extern bool quick;
void bench_init(int argc, char **argv);

/* `full`, or `few` when it is to be quick. */
long unless_quick(long full, long few);

/* The monotonic clock, in ns. */
double now(void);

/* Ends the program when what it stands on does not hold. */
#define require(condition) ((condition) ? (void)0 : required(#condition, __FILE__, __LINE__))
void required(const char *what, const char *file, int line);

/* Zeroed, and shared with every child. */
void *share(size_t size);

/* The same numbers in each run. */
uint64_t random_next(uint64_t *state);

/* What one side gave, a value a round. */
struct samples {
  int count;
  double values[ROUNDS_MAX];
};
void samples_add(struct samples *samples, double value);

/* The median, and the quartiles on both sides of it. */
struct spread {
  double low, middle, high;
};
struct spread samples_spread(const struct samples *samples);

/* One side of a comparison: `measure` writes up to VALUES_MAX values; both are called with arg. */
struct job {
  void (*setup)(void *arg); /* may be NULL */
  void (*measure)(void *arg, double *values);
  void *arg;
};

struct results {
  struct samples values[VALUES_MAX];
};
void results_add(struct results *results, const double *values);

/* Runs each job in turn, A, B, A, B, …: in this process, or each time in a fresh one. */
void interleave(const struct job *jobs, struct results *results, size_t count, long rounds);
void interleave_fresh(const struct job *jobs, struct results *results, size_t count, long rounds);

enum measure {
  RATIO,      /* ours / theirs */
  NET_RATIO,  /* the same, of what is left after something was taken off: may be noise, even negative */
  DIFFERENCE, /* ours - theirs */
};

struct figure {
  const char *row, *name;
  long hooks; /* 0 where their number says nothing */
  const char *peer, *unit;
  enum measure measure;
  const char *aim; /* the most that it is meant to be; NULL for none */
};

/* Prints a line of columns, parted by tabs: those of struct figure; the spread of ours, of theirs, and of
 * what each round gave for `measure`. */
void print_figure(const struct figure *figure, const struct samples *ours, const struct samples *theirs);

/* Says that a figure cannot be had here. */
void print_skipped(const char *row, const char *name, const char *why);

#endif
