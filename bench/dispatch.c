/* SPDX-License-Identifier: MIT */
/*
 * Running the hooks: from fork() to the child's first own instruction, so prepare, what fork itself copies of the
 * registry's page tables, and child.  An empty fork is taken off: that of a process which is alike, but has no hooks.
 *
 * dispatch SIDE HOOKS FORKS is such a process: a worker (worker.h).
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "forked.h"
#include "hooks.h"
#include "worker.h"

struct load {
  long hooks, forks, rounds;
};

enum side { OURS, OURS_EMPTY, THEIRS, THEIRS_EMPTY, SIDES };

static void measure(void *arg, double *values) {
  const long *forks = arg;
  measure_forks(*forks, values);
}

static int serve(enum side side, long hooks, long forks) {
  struct job job = {.measure = measure, .arg = &forks};
  if (side == OURS || side == OURS_EMPTY) (void)(atfork_generation)();
  if (side == OURS) register_many_ours(hooks);
  if (side == THEIRS) register_many_theirs(hooks);
  worker_serve(&job, stdin, stdout);
  return 0;
}

/* What a hook adds, in ns. */
static struct samples per_hook(const struct results *full, const struct results *empty, long hooks) {
  struct samples net = {.count = 0};
  for (int i = 0; i < full->values[FORK_START].count; i++) {
    double difference = full->values[FORK_START].values[i] - empty->values[FORK_START].values[i];
    samples_add(&net, difference / (double)hooks);
  }
  return net;
}

static void print_per_hook(const struct results *results, long hooks) {
  struct samples ours = per_hook(&results[OURS], &results[OURS_EMPTY], hooks);
  struct samples theirs = per_hook(&results[THEIRS], &results[THEIRS_EMPTY], hooks);
  struct figure figure = {
      .row = "dispatch",
      .name = "a hook, the empty fork taken off",
      .hooks = hooks,
      .peer = "pthread_atfork()",
      .unit = "ns",
      .measure = NET_RATIO,
      .aim = hooks >= 100000 ? "0.3"
             : hooks >= 1000 ? "0.5"
                             : NULL,
  };
  print_figure(&figure, &ours, &theirs);
}

/* With few hooks the difference drowns in what forks vary by, but not that of the page faults. */
static void print_whole(const struct results *results, long hooks) {
  struct figure figure = {
      .row = "dispatch",
      .name = "the whole way to the child",
      .hooks = hooks,
      .peer = "pthread_atfork()",
      .unit = "ns",
  };
  print_figure(&figure, &results[OURS].values[FORK_START], &results[THEIRS].values[FORK_START]);
  figure.name = "faults of the child";
  figure.unit = "faults";
  figure.measure = DIFFERENCE;
  figure.aim = "3";
  print_figure(&figure, &results[OURS].values[FORK_CHILD_FAULTS], &results[THEIRS].values[FORK_CHILD_FAULTS]);
}

static void bench_load(const char *program, const struct load *load) {
  static char commands[SIDES][COMMAND_MAX];
  static struct results results[SIDES];
  for (enum side side = OURS; side < SIDES; side++) {
    bool empty = side == OURS_EMPTY || side == THEIRS_EMPTY;
    int length = snprintf(commands[side], COMMAND_MAX, "exec '%s' %d %ld %ld", program, (int)side, load->hooks,
                          empty ? unless_quick(50, 5) : load->forks);
    require(length > 0 && length < COMMAND_MAX);
  }
  commands_interleave(commands, results, SIDES, load->rounds);
  if (load->hooks > 0) print_per_hook(results, load->hooks);
  if (load->hooks <= 10) print_whole(results, load->hooks);
}

int main(int argc, char **argv) {
  static const struct load full[] = {
      {0, 50, 51},    {1, 50, 51},     {10, 50, 51},     {100, 50, 51},
      {1000, 50, 51}, {10000, 21, 31}, {100000, 11, 21}, {1000000, 3, 21},
  };
  static const struct load few[] = {{0, 5, 3}, {10, 5, 3}, {30000, 3, 3}};
  bench_init(argc, argv);
  if (argc == 4) return serve((enum side)atoi(argv[1]), atol(argv[2]), atol(argv[3]));
  size_t count = quick ? sizeof few / sizeof few[0] : sizeof full / sizeof full[0];
  for (size_t i = 0; i < count; i++) bench_load(argv[0], quick ? &few[i] : &full[i]);
  return 0;
}
