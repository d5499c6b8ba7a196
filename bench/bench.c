/* SPDX-License-Identifier: MIT */
/*
 * What the library costs, in ratios measured in one run.  Prints a line a figure; nothing here passes or fails.
 */
#define _GNU_SOURCE
#include <atfork.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 15 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int by_value(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return difference < 0 ? -1 : difference > 0;
}

static double median(double *values, size_t count) {
  qsort(values, count, sizeof *values, by_value);
  return values[count / 2];
}

/* ---- Did I fork? ---- */

static volatile uint64_t plain;
static struct atfork_once control;

static void nothing(void *unused) {
  (void)unused;
}

#define TIME(times, statement)                    \
  do {                                            \
    double start = now();                         \
    for (long i = 0; i < (times); i++) statement; \
    result = (now() - start) / (double)(times);   \
  } while (0)

enum check { LOAD, GENERATION, GENERATION_CALL, ONCE, GETPID, CHECKS };
static const char *const check_names[CHECKS] = {"a volatile load", "atfork_generation()", "(atfork_generation)()",
                                                "atfork_once()", "getpid()"};

static double time_check(enum check check) {
  double result = 0;
  switch (check) {
    case LOAD:
      TIME(4000000, (void)plain);
      break;
    case GENERATION:
      TIME(4000000, (void)atfork_generation());
      break;
    case GENERATION_CALL:
      TIME(4000000, (void)(atfork_generation)());
      break;
    case ONCE:
      TIME(4000000, atfork_once(&control, nothing, NULL));
      break;
    case GETPID:
      TIME(200000, (void)getpid());
      break;
    case CHECKS:
      abort();
  }
  return result;
}

static void bench_checks(void) {
  static double times[CHECKS][ROUNDS];
  double medians[CHECKS];
  for (int round = 0; round < ROUNDS; round++)
    for (enum check check = LOAD; check < CHECKS; check++) times[check][round] = time_check(check);
  for (enum check check = LOAD; check < CHECKS; check++) medians[check] = median(times[check], ROUNDS);
  for (enum check check = LOAD; check < CHECKS; check++)
    printf("%-44s %9.2f ns %8.2f x a load, 1/%.0f of getpid()\n", check_names[check], medians[check],
           medians[check] / medians[LOAD], medians[GETPID] / medians[check]);
}

/* ---- Minor page faults in the child of an empty fork ---- */

static double faults_of_a_child(void) {
  double *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  double faults[ROUNDS];
  if (shared == MAP_FAILED) abort();
  for (int round = 0; round < ROUNDS; round++) {
    pid_t pid = fork();
    if (pid == 0) {
      struct rusage usage;
      getrusage(RUSAGE_SELF, &usage);
      *shared = (double)usage.ru_minflt;
      _exit(0);
    }
    waitpid(pid, NULL, 0);
    faults[round] = *shared;
  }
  munmap(shared, sizeof *shared);
  return median(faults, ROUNDS);
}

static double time_of_a_fork(void) {
  double times[200];
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    double start = now();
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
    times[i] = now() - start;
  }
  return median(times, sizeof times / sizeof times[0]);
}

/* This program has not called the library yet when it begins. */
static void bench_forks(void) {
  faults_of_a_child();
  double linked = faults_of_a_child();
  double linked_time = time_of_a_fork();
  (atfork_generation)();
  double in_use = faults_of_a_child();
  double in_use_time = time_of_a_fork();
  printf("%-44s %9.0f faults, %.1f us for fork and wait\n", "a child, the library only linked", linked,
         linked_time / 1e3);
  printf("%-44s %9.0f faults, %.1f us: %+.0f faults, %.2f x\n", "a child, the library in use, no hooks", in_use,
         in_use_time / 1e3, in_use - linked, in_use_time / linked_time);
}

/* ---- Hooks, against pthread_atfork ---- */

static void handler(void) {
}

/* From before fork() to the child's first own instruction, which ends it. */
static double time_dispatch(void) {
  double times[ROUNDS];
  double *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) abort();
  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    pid_t pid = fork();
    if (pid == 0) {
      *shared = now();
      _exit(0);
    }
    waitpid(pid, NULL, 0);
    times[round] = *shared - start;
  }
  munmap(shared, sizeof *shared);
  return median(times, ROUNDS);
}

/* In a process of its own, as pthread_atfork() cannot be taken back. */
static void in_process(void (*body)(long), long count) {
  pid_t pid = fork();
  if (pid == 0) {
    body(count);
    _exit(0);
  }
  waitpid(pid, NULL, 0);
}

static double *figures; /* shared: register, dispatch, unregister, for pthread_atfork and for us */

static void with_pthread_atfork(long count) {
  double empty = time_dispatch();
  double start = now();
  for (long i = 0; i < count; i++)
    if (pthread_atfork(handler, handler, handler) != 0) abort();
  figures[0] = (now() - start) / (double)count;
  figures[1] = (time_dispatch() - empty) / (double)count;
}

static void with_atfork(long count) {
  atfork_id *ids = malloc(sizeof *ids * (size_t)count);
  if (ids == NULL) abort();
  for (long i = 0; i < count; i++) ids[i] = 0;
  (atfork_generation)();
  double empty = time_dispatch();
  double start = now();
  for (long i = 0; i < count; i++)
    ids[i] = atfork_register(&(struct atfork_hook){.prepare = nothing, .parent = nothing, .child = nothing});
  figures[2] = (now() - start) / (double)count;
  figures[3] = (time_dispatch() - empty) / (double)count;
  start = now();
  for (long i = 0; i < count; i++) atfork_unregister(ids[i]);
  figures[4] = (now() - start) / (double)count;
}

static void bench_hooks(long count) {
  in_process(with_pthread_atfork, count);
  in_process(with_atfork, count);
  printf("%7ld hooks: register %6.1f ns (%.2f x), unregister %6.1f ns, dispatch of all phases %6.2f ns (%.2f x)\n",
         count, figures[2], figures[2] / figures[0], figures[4], figures[3], figures[3] / figures[1]);
}

int main(void) {
  figures = mmap(NULL, 8 * sizeof *figures, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (figures == MAP_FAILED) abort();
  printf("medians of %d rounds in one run; x: against pthread_atfork(3), where nothing else is said\n", ROUNDS);
  bench_forks();
  bench_checks();
  for (long count = 1000; count <= 1000000; count *= 10) bench_hooks(count);
  return 0;
}
