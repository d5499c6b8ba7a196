/* SPDX-License-Identifier: MIT */
#include "forked.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static double minor_faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_minflt;
}

static void measure_fork(double *shared, double *values) {
  double faults = minor_faults();
  double start = now();
  pid_t pid = fork();
  if (pid == 0) {
    double started = now();
    shared[FORK_CHILD_FAULTS] = minor_faults();
    shared[FORK_START] = started;
    _exit(0);
  }
  require(pid > 0 && waitpid(pid, NULL, 0) == pid);
  values[FORK_WHOLE] = now() - start;
  values[FORK_START] = shared[FORK_START] - start;
  values[FORK_CHILD_FAULTS] = shared[FORK_CHILD_FAULTS];
  values[FORK_PARENT_FAULTS] = minor_faults() - faults;
}

void measure_forks(long forks, double *values) {
  static struct samples samples[FORK_VALUES];
  static double *shared;
  if (!shared) shared = share(sizeof *shared * FORK_VALUES);
  for (int i = 0; i < FORK_VALUES; i++) samples[i].count = 0;
  for (long fork = 0; fork < forks; fork++) {
    double these[FORK_VALUES];
    measure_fork(shared, these);
    for (int i = 0; i < FORK_VALUES; i++) samples_add(&samples[i], these[i]);
  }
  for (int i = 0; i < FORK_VALUES; i++) values[i] = samples_spread(&samples[i]).middle;
}
