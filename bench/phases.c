/* SPDX-License-Identifier: MIT */
/*
 * The phases apart: the first and the last hook look at the clock, and the time between their looks is that of all
 * hooks in between.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "hooks.h"
#include "worker.h"

enum phase { PREPARE, PARENT, CHILD, PHASES };

static double began[PHASES], ended[PHASES];

/* The first hook is prepared last. */
static void first_prepare(void) {
  ended[PREPARE] = now();
}
static void first_parent(void) {
  began[PARENT] = now();
}
static void first_child(void) {
  began[CHILD] = now();
}
static void last_prepare(void) {
  began[PREPARE] = now();
}
static void last_parent(void) {
  ended[PARENT] = now();
}
static void last_child(void) {
  ended[CHILD] = now();
}

static void call(void *data) {
  void (*const *function)(void) = data;
  (*function)();
}

/* Each callback's data points to the function that it calls. */
static void register_probe(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  static void (*functions[2 * PHASES])(void);
  static size_t used;
  void (*const callbacks[PHASES])(void) = {prepare, parent, child};
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    struct atfork_hook hook = {.data = &functions[used]};
    functions[used++] = callbacks[phase];
    *(phase == PREPARE ? &hook.prepare : phase == PARENT ? &hook.parent : &hook.child) = call;
    require(atfork_register(&hook) != 0);
  }
}

static void setup_ours(void *arg) {
  const long *hooks = arg;
  register_probe(first_prepare, first_parent, first_child);
  register_many_ours(*hooks);
  register_probe(last_prepare, last_parent, last_child);
}

static void setup_theirs(void *arg) {
  const long *hooks = arg;
  require(pthread_atfork(first_prepare, first_parent, first_child) == 0);
  register_many_theirs(*hooks);
  require(pthread_atfork(last_prepare, last_parent, last_child) == 0);
}

static void measure(void *arg, double *values) {
  const long *hooks = arg;
  static double *in_child;
  if (!in_child) in_child = share(sizeof *in_child);
  pid_t pid = fork();
  if (pid == 0) {
    *in_child = ended[CHILD] - began[CHILD];
    _exit(0);
  }
  require(pid > 0 && waitpid(pid, NULL, 0) == pid);
  values[PREPARE] = (ended[PREPARE] - began[PREPARE]) / (double)*hooks;
  values[PARENT] = (ended[PARENT] - began[PARENT]) / (double)*hooks;
  values[CHILD] = *in_child / (double)*hooks;
}

static void bench_phases(long hooks, long rounds) {
  static const char *const names[PHASES] = {"prepare", "parent", "child"};
  struct job jobs[] = {
      {.setup = setup_ours, .measure = measure, .arg = &hooks},
      {.setup = setup_theirs, .measure = measure, .arg = &hooks},
  };
  struct worker workers[2];
  static struct results results[2];
  for (int i = 0; i < 2; i++) worker_start(&workers[i], &jobs[i]);
  workers_interleave(workers, results, 2, rounds);
  for (int i = 0; i < 2; i++) worker_end(&workers[i]);
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    struct figure figure = {
        .row = "phases",
        .name = names[phase],
        .hooks = hooks,
        .peer = "pthread_atfork()",
        .unit = "ns",
    };
    print_figure(&figure, &results[0].values[phase], &results[1].values[phase]);
  }
}

int main(int argc, char **argv) {
  bench_init(argc, argv);
  bench_phases(1000, unless_quick(101, 3));
  if (quick) return 0;
  bench_phases(100000, 31);
  bench_phases(1000000, 11);
  return 0;
}
