/* SPDX-License-Identifier: MIT */
/* Memory: what a hook takes, and what is left when all are unregistered. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "hooks.h"

enum value { PER_HOOK, LEFT };

/* Anonymous pages of this process that are in memory, in bytes. */
static double anonymous(void) {
  char line[128];
  double kilobytes = -1;
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  require(file);
  while (kilobytes < 0 && fgets(line, sizeof line, file)) sscanf(line, "Anonymous: %lf", &kilobytes);
  fclose(file);
  require(kilobytes >= 0);
  return kilobytes * 1024;
}

static void measure_ours(void *arg, double *values) {
  const long *hooks = arg;
  size_t count = (size_t)*hooks;
  atfork_id *ids = calloc(count, sizeof *ids);
  require(ids);
  for (size_t i = 0; i < count; i++) ((volatile atfork_id *)ids)[i] = 1;
  (void)anonymous(); /* what reading the file takes is there before and after */
  double before = anonymous();
  for (size_t i = 0; i < count; i++) ids[i] = register_ours(0);
  values[PER_HOOK] = (anonymous() - before) / (double)count;
  for (size_t i = 0; i < count; i++) require(atfork_unregister(ids[i]) == 0);
  values[LEFT] = (anonymous() - before) / (double)count;
  free(ids);
}

static void measure_theirs(void *arg, double *values) {
  const long *hooks = arg;
  (void)anonymous();
  double before = anonymous();
  register_many_theirs(*hooks);
  values[PER_HOOK] = (anonymous() - before) / (double)*hooks;
}

static void bench_memory(long hooks, long rounds) {
  struct job jobs[] = {{.measure = measure_ours, .arg = &hooks}, {.measure = measure_theirs, .arg = &hooks}};
  static struct results results[2];
  struct figure figure = {.row = "memory", .name = "a hook", .hooks = hooks, .unit = "bytes"};
  interleave_fresh(jobs, results, 2, rounds);
  figure.peer = "pthread_atfork()";
  figure.aim = "2";
  print_figure(&figure, &results[0].values[PER_HOOK], &results[1].values[PER_HOOK]);
  figure.name = "left when all are unregistered";
  figure.peer = "a hook";
  figure.measure = NET_RATIO;
  figure.aim = "0.1";
  print_figure(&figure, &results[0].values[LEFT], &results[0].values[PER_HOOK]);
}

int main(int argc, char **argv) {
  bench_init(argc, argv);
  bench_memory(unless_quick(100000, 10000), unless_quick(7, 3));
  if (!quick) bench_memory(1000000, 5);
  return 0;
}
