/* SPDX-License-Identifier: MIT */
/*
 * Registering and unregistering: per call, from the first hook to the last of N, each round in a fresh process.
 */
#include <stdlib.h>

#include "bench.h"
#include "hooks.h"

enum order { IN_ORDER, IN_REVERSE, AT_RANDOM };

struct load {
  long hooks;
  bool random;      /* priorities, else in turn */
  long priorities;  /* how many there are */
  enum order order; /* of unregistering */
};

enum value { REGISTER, UNREGISTER };

static void *allocate(long count, size_t size) {
  void *memory = count < 0 ? NULL : calloc((size_t)count, size);
  require(memory);
  return memory;
}

/* As all that a round needs, made before the clock starts. */
static int16_t *choose_priorities(const struct load *load) {
  uint64_t state = 1;
  int16_t *priorities = allocate(load->hooks, sizeof *priorities);
  for (long i = 0; i < load->hooks; i++) {
    uint64_t choice = load->random ? random_next(&state) : (uint64_t)i;
    priorities[i] = (int16_t)((long)(choice % (uint64_t)load->priorities) - load->priorities / 2);
  }
  return priorities;
}

static uint32_t *choose_order(const struct load *load) {
  uint64_t state = 2;
  uint32_t *order = allocate(load->hooks, sizeof *order);
  for (long i = 0; i < load->hooks; i++) order[i] = (uint32_t)(load->order == IN_REVERSE ? load->hooks - 1 - i : i);
  for (long i = load->hooks - 1; load->order == AT_RANDOM && i > 0; i--) {
    long other = (long)(random_next(&state) % (uint64_t)(i + 1));
    uint32_t moved = order[i];
    order[i] = order[other];
    order[other] = moved;
  }
  return order;
}

static atfork_id *choose_room_for_ids(long hooks) {
  atfork_id *ids = allocate(hooks, sizeof *ids);
  for (long i = 0; i < hooks; i++) ((volatile atfork_id *)ids)[i] = 1;
  return ids;
}

static void measure_ours(void *arg, double *values) {
  const struct load *load = arg;
  int16_t *priorities = choose_priorities(load);
  uint32_t *order = choose_order(load);
  atfork_id *ids = choose_room_for_ids(load->hooks);
  double start = now();
  for (long i = 0; i < load->hooks; i++) ids[i] = register_ours(priorities[i]);
  double registered = now();
  for (long i = 0; i < load->hooks; i++) require(atfork_unregister(ids[order[i]]) == 0);
  double unregistered = now();
  values[REGISTER] = (registered - start) / (double)load->hooks;
  values[UNREGISTER] = (unregistered - registered) / (double)load->hooks;
  free(ids);
  free(order);
  free(priorities);
}

static void measure_theirs(void *arg, double *values) {
  const struct load *load = arg;
  double start = now();
  register_many_theirs(load->hooks);
  values[REGISTER] = (now() - start) / (double)load->hooks;
}

static void bench_register(long hooks, long rounds) {
  struct load load = {.hooks = hooks, .priorities = 1};
  struct job jobs[] = {{.measure = measure_ours, .arg = &load}, {.measure = measure_theirs, .arg = &load}};
  static struct results results[2];
  interleave_fresh(jobs, results, 2, rounds);
  struct figure figure = {
      .row = "register",
      .name = hooks == 1 ? "register, the first call of a process" : "register",
      .hooks = hooks,
      .peer = "pthread_atfork()",
      .unit = "ns",
      .aim = hooks >= 100000 ? "1.3" : "1.5",
  };
  print_figure(&figure, &results[0].values[REGISTER], &results[1].values[REGISTER]);
}

static void bench_unregister(long hooks, long rounds) {
  static const char *const names[] = {"unregister in order", "unregister in reverse", "unregister at random"};
  struct load loads[3];
  struct job jobs[3];
  static struct results results[3];
  for (enum order order = IN_ORDER; order <= AT_RANDOM; order++) {
    loads[order] = (struct load){.hooks = hooks, .priorities = 1, .order = order};
    jobs[order] = (struct job){.measure = measure_ours, .arg = &loads[order]};
  }
  interleave_fresh(jobs, results, 3, rounds);
  for (enum order order = IN_ORDER; order <= AT_RANDOM; order++) {
    struct figure figure = {
        .row = "register",
        .name = names[order],
        .hooks = hooks,
        .peer = "register",
        .unit = "ns",
        .aim = "1.5",
    };
    print_figure(&figure, &results[order].values[UNREGISTER], &results[order].values[REGISTER]);
  }
}

static void print_priorities(const char *name, long hooks, const char *aim, const struct results *ours,
                             const struct results *theirs) {
  struct figure figure = {
      .row = "register",
      .name = name,
      .hooks = hooks,
      .peer = "register, one priority",
      .unit = "ns",
      .aim = aim,
  };
  print_figure(&figure, &ours->values[REGISTER], &theirs->values[REGISTER]);
}

static void bench_priorities(long hooks, long rounds) {
  struct load loads[] = {
      {.hooks = hooks, .priorities = 1},
      {.hooks = hooks, .priorities = 16},
      {.hooks = hooks, .priorities = 65536, .random = true},
  };
  struct job jobs[3];
  static struct results results[3];
  for (int i = 0; i < 3; i++) jobs[i] = (struct job){.measure = measure_ours, .arg = &loads[i]};
  interleave_fresh(jobs, results, 3, rounds);
  print_priorities("register, 16 priorities in turn", hooks, "2", &results[1], &results[0]);
  print_priorities("register, 65,536 at random", hooks, "50", &results[2], &results[0]);
}

int main(int argc, char **argv) {
  static const struct { long hooks, rounds; } full[] = {{1000, 51}, {100000, 15}, {1000000, 7}}, few[] = {{1000, 3}};
  bench_init(argc, argv);
  bench_register(1, unless_quick(101, 3));
  for (size_t i = 0; i < (quick ? sizeof few / sizeof few[0] : sizeof full / sizeof full[0]); i++) {
    long hooks = quick ? few[i].hooks : full[i].hooks, rounds = quick ? few[i].rounds : full[i].rounds;
    bench_register(hooks, rounds);
    bench_unregister(hooks, rounds);
    bench_priorities(hooks, rounds);
  }
  return 0;
}
