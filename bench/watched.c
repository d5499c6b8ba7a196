/* SPDX-License-Identifier: MIT */
/* What it costs a program to be watched by the command `atfork`: watched ATFORK, which runs itself as the program. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "forked.h"

enum { LOCK_PAIR, NO_LOCKS, FORK, VALUES };

/* ---- The program ---- */

static void *wait_for_ever(void *unused) {
  for (;;) pause();
  return unused;
}

/* In a program with threads: with one thread alone the C library locks without an atomic instruction. */
static double time_lock_pairs(void) {
  pthread_t thread;
  require(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  const long pairs = unless_quick(5000000, 10000);
  double began = now();
  for (long i = 0; i < pairs; i++) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  return (now() - began) / (double)pairs;
}

static double time_no_locks(void) {
  const long steps = unless_quick(20000000, 10000);
  volatile uint64_t kept;
  uint64_t state = 1;
  double began = now();
  for (long i = 0; i < steps; i++) kept = random_next(&state);
  (void)kept;
  return (now() - began) / (double)steps;
}

static int run_program(void) {
  double fork[FORK_VALUES];
  measure_forks(unless_quick(100, 20), fork);
  return printf("%g %g %g\n", time_lock_pairs(), time_no_locks(), fork[FORK_WHOLE]) < 0;
}

/* ---- The comparison ---- */

static void measure(void *arg, double *values) {
  FILE *program = popen(arg, "r");
  require(program != NULL);
  require(fscanf(program, "%lf %lf %lf", &values[LOCK_PAIR], &values[NO_LOCKS], &values[FORK]) == VALUES);
  require(pclose(program) == 0);
}

static void print(const char *name, int value, const char *peer, const char *aim, const struct results *results) {
  const struct figure figure = {"watched", name, 0, peer, "ns", RATIO, aim};
  print_figure(&figure, &results[0].values[value], &results[1].values[value]);
}

/* Of this program, as the shell has it. */
static char *command(const char *before) {
  char *line = NULL, path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  require(length > 0);
  path[length] = '\0';
  require(asprintf(&line, "%s '%s' program%s", before, path, quick ? " --quick" : "") > 0);
  return line;
}

static void compare(const char *atfork, const char *subcommand) {
  char *before = NULL;
  require(asprintf(&before, "'%s' %s --output /dev/null --", atfork, subcommand) > 0);
  const struct job jobs[] = {{NULL, measure, command(before)}, {NULL, measure, command("")}};
  struct results results[2] = {0};
  interleave(jobs, results, 2, unless_quick(9, 1));
  char name[64];
  if (strcmp(subcommand, "tree") != 0) {
    print("a mutex locked and unlocked, doctor", LOCK_PAIR, "unwatched", "1.6", results);
    print("code without locks, doctor", NO_LOCKS, "unwatched", "1.02", results);
  }
  snprintf(name, sizeof name, "fork(), exit and wait, %s", subcommand);
  print(name, FORK, "unwatched", "1.5", results);
}

int main(int argc, char **argv) {
  bench_init(argc, argv);
  if (argc > 1 && strcmp(argv[1], "program") == 0) return run_program();
  require(argc > 1);
  compare(argv[1], "doctor");
  compare(argv[1], "tree");
  return 0;
}
