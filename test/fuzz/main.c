/* SPDX-License-Identifier: MIT */
/*
 * Random programs, run against the library and against a naive model of it, in real processes.
 *
 * fuzz [--seed FROM] [--programs COUNT | --seconds S]     of these seeds; prints the first that shows a difference,
 *                                                         and a shorter program that does
 * fuzz [--verbose] --program FILE                         such a program
 *
 * fuzz --threads | --signals …      threads, or a signal handler, that meet by chance, so that nothing is compared, but
 *                                   invariants are checked; the same seed need not meet the same
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "log.h"
#include "modes.h"
#include "run.h"
#include "shrink.h"
#include "watch.h"

static struct {
  uint64_t seed, programs;
  int seconds;
  const char *file;
  bool verbose;
  void (*mode)(uint64_t seed, int steps); /* NULL: compared with the model */
} options = {.seed = 1, .programs = 1};

/* Whether a program is broken on purpose, and that it differs is all there is to know. */
#ifdef ATFORK_TEST_SHORT
static const bool shrinks = false;
#else
static const bool shrinks = true;
#endif

static bool differs(const struct program *program) {
  shared->program = *program;
  return run_both(false) == DIFFERENT;
}

static void print_shrunk(struct program program) {
  enum { SHORT_PATIENCE = 10 };
  watch_patience = SHORT_PATIENCE;
  if (!differs(&program)) printf("not each time:\n");
  shrink(&program, differs);
  printf("shrunk, for --program FILE:\n");
  program_write(&program, stdout);
  shared->program = program;
  run_both(true);
}

static void read_file(void) {
  FILE *file = fopen(options.file, "r");
  if (file != NULL && program_read(&shared->program, file)) return;
  fprintf(stderr, "fuzz: %s is no program\n", options.file);
  exit(2);
}

static int run_file(void) {
  enum verdict verdict = run_both(true);
  printf("%s\n", verdict == SAME ? "no difference" : verdict == DIFFERENT ? "a difference" : "too large");
  if (options.verbose) log_print(&shared->logs[0], 0);
  return verdict != SAME;
}

static bool is_time_left(uint64_t seed, time_t began) {
  if (options.seconds > 0) return time(NULL) - began < options.seconds;
  return seed < options.seed + options.programs;
}

static uint64_t too_large;

/* Whether all is well. */
static bool run_program(uint64_t seed) {
  struct program program;
  program_draw(&program, seed);
  shared->program = program;
  enum verdict verdict = run_both(true);
  too_large += verdict == TOO_LARGE;
  if (options.verbose) program_write(&program, stdout);
  if (options.verbose) log_print(&shared->logs[0], 0);
  if (verdict != DIFFERENT) return true;
  printf("seed %llu shows this difference\n", (unsigned long long)seed);
  fflush(stdout);
  if (shrinks) print_shrunk(program);
  return false;
}

static bool run_mode(uint64_t seed) {
  enum { STEPS = 800 };
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    options.mode(seed, STEPS);
    _exit(0);
  }
  const char *how = watch(pid);
  if (how != NULL) printf("seed %llu: %s\n", (unsigned long long)seed, how);
  return how == NULL;
}

static int run_seeds(void) {
  time_t began = time(NULL);
  uint64_t seed = options.seed;
  for (; is_time_left(seed, began); seed++)
    if (!(options.mode != NULL ? run_mode(seed) : run_program(seed))) return 1;
  printf("seeds %llu to %llu: %llu operations, %llu forks, %llu programs too large, no difference\n",
         (unsigned long long)options.seed, (unsigned long long)seed - 1, (unsigned long long)shared->operations,
         (unsigned long long)shared->forks, (unsigned long long)too_large);
  return 0;
}

static void read_options(int argc, char **argv) {
  static const struct option names[] = {
      {"seed", required_argument, NULL, 's'},    {"programs", required_argument, NULL, 'n'},
      {"seconds", required_argument, NULL, 't'}, {"program", required_argument, NULL, 'p'},
      {"verbose", no_argument, NULL, 'v'},       {"threads", no_argument, NULL, 'T'},
      {"signals", no_argument, NULL, 'S'},       {NULL, 0, NULL, 0}};
  int option;
  while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
    if (option == 's') options.seed = strtoull(optarg, NULL, 0);
    if (option == 'n') options.programs = strtoull(optarg, NULL, 0);
    if (option == 't') options.seconds = atoi(optarg);
    if (option == 'p') options.file = optarg;
    if (option == 'v') options.verbose = true;
    if (option == 'T') options.mode = threads_run;
    if (option == 'S') options.mode = signals_run;
    if (option == '?') exit(2);
  }
}

int main(int argc, char **argv) {
  run_prepare(argc, argv);
  read_options(argc, argv);
  if (options.file != NULL) read_file();
  return options.file != NULL ? run_file() : run_seeds();
}
