/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "worker.h"

bool quick;

void bench_init(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN); /* from a worker that did not come up */
  for (int i = 1; i < argc; i++) quick |= strcmp(argv[i], "--quick") == 0;
}

long unless_quick(long full, long few) {
  return quick ? few : full;
}

double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

void required(const char *what, const char *file, int line) {
  dprintf(STDERR_FILENO, "%s:%d: does not hold: %s\n", file, line, what);
  _exit(1);
}

void *share(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED);
  return memory;
}

/* SplitMix64. */
uint64_t random_next(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/* ---- Samples ---- */

void samples_add(struct samples *samples, double value) {
  require(samples->count < ROUNDS_MAX);
  samples->values[samples->count++] = value;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Between two samples, what lies between them. */
static double quantile(const double *sorted, int count, double at) {
  double place = at * (count - 1);
  int below = (int)place;
  int above = below + 1 < count ? below + 1 : below;
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

struct spread samples_spread(const struct samples *samples) {
  struct samples sorted = *samples;
  require(sorted.count > 0);
  qsort(sorted.values, (size_t)sorted.count, sizeof sorted.values[0], by_value);
  return (struct spread){
      .low = quantile(sorted.values, sorted.count, 0.25),
      .middle = quantile(sorted.values, sorted.count, 0.5),
      .high = quantile(sorted.values, sorted.count, 0.75),
  };
}

/* ---- Rounds ---- */

void results_add(struct results *results, const double *values) {
  for (int i = 0; i < VALUES_MAX; i++) samples_add(&results->values[i], values[i]);
}

void interleave(const struct job *jobs, struct results *results, size_t count, long rounds) {
  double values[VALUES_MAX] = {0};
  memset(results, 0, count * sizeof *results);
  for (size_t i = 0; i < count; i++) {
    if (jobs[i].setup) jobs[i].setup(jobs[i].arg);
    jobs[i].measure(jobs[i].arg, values);
  }
  for (long round = 0; round < rounds; round++) {
    for (size_t i = 0; i < count; i++) {
      jobs[i].measure(jobs[i].arg, values);
      results_add(&results[i], values);
    }
  }
}

void interleave_fresh(const struct job *jobs, struct results *results, size_t count, long rounds) {
  double values[VALUES_MAX];
  memset(results, 0, count * sizeof *results);
  for (long round = 0; round < rounds; round++) {
    for (size_t i = 0; i < count; i++) {
      struct worker worker;
      worker_start(&worker, &jobs[i]);
      require(worker_measure(&worker, values));
      worker_end(&worker);
      results_add(&results[i], values);
    }
  }
}

/* ---- Figures ---- */

static double measure_of(enum measure measure, double ours, double theirs) {
  return measure == DIFFERENCE ? ours - theirs : ours / theirs;
}

static void print_spread(const struct samples *samples) {
  struct spread spread = samples_spread(samples);
  printf("\t%.6g\t%.6g\t%.6g", spread.low, spread.middle, spread.high);
}

void print_figure(const struct figure *figure, const struct samples *ours, const struct samples *theirs) {
  static const char *const measures[] = {"ratio", "net ratio", "difference"};
  struct samples measured = {.count = 0};
  require(ours->count == theirs->count);
  for (int i = 0; i < ours->count; i++)
    samples_add(&measured, measure_of(figure->measure, ours->values[i], theirs->values[i]));
  printf("%s\t%s\t%ld\t%s\t%s\t%s\t%s", figure->row, figure->name, figure->hooks, figure->peer, figure->unit,
         measures[figure->measure], figure->aim ? figure->aim : "");
  print_spread(ours);
  print_spread(theirs);
  print_spread(&measured);
  putchar('\n');
  fflush(stdout);
}

void print_skipped(const char *row, const char *name, const char *why) {
  printf("# %s: %s: %s\n", row, name, why);
  fflush(stdout);
}
