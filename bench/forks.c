/* SPDX-License-Identifier: MIT */
/*
 * Fork itself: what a small process and a large one pay for the library, in time and in page faults.
 */
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "forked.h"
#include "worker.h"

enum kind { WITHOUT, NOTHING, LINKED, IN_USE, HOOKS, PTHREAD, KINDS };

static const struct {
  const char *program, *kind, *name;
} kinds[KINDS] = {
    [WITHOUT] = {FORKER_WITHOUT, "without", "without the library"},
    [NOTHING] = {FORKER_NOTHING, "without", "an empty library"},
    [LINKED] = {FORKER, "linked", "linked, never called"},
    [IN_USE] = {FORKER, "in-use", "in use, no hook"},
    [HOOKS] = {FORKER, "hooks", "10 hooks"},
    [PTHREAD] = {FORKER_WITHOUT, "pthread_atfork", "pthread_atfork(), 10 times"},
};

static struct results results[KINDS];

static void measure_kinds(long mebibytes, long forks, long rounds) {
  static char commands[KINDS][COMMAND_MAX];
  for (enum kind kind = WITHOUT; kind < KINDS; kind++) {
    int length = snprintf(commands[kind], COMMAND_MAX, "exec '%s' %s %ld %ld", kinds[kind].program, kinds[kind].kind,
                          mebibytes, forks);
    require(length > 0 && length < COMMAND_MAX);
  }
  commands_interleave(commands, results, KINDS, rounds);
}

/* What it aims at: for the time, and the faults of the child and of the parent. */
struct aims {
  const char *of[3];
};

static void print(enum kind ours, enum kind theirs, long mebibytes, struct aims aims) {
  static const char *const what[] = {"fork and wait", "faults of the child", "faults of the parent"};
  static const enum fork_value values[] = {FORK_WHOLE, FORK_CHILD_FAULTS, FORK_PARENT_FAULTS};
  for (int i = 0; i < 3; i++) {
    char name[128];
    snprintf(name, sizeof name, "%s, %ld MiB: %s", kinds[ours].name, mebibytes, what[i]);
    struct figure figure = {
        .row = "forks",
        .name = name,
        .hooks = ours == HOOKS ? 10 : 0,
        .peer = kinds[theirs].name,
        .unit = i == 0 ? "ns" : "faults",
        .measure = i == 0 ? RATIO : DIFFERENCE,
        .aim = aims.of[i],
    };
    print_figure(&figure, &results[ours].values[values[i]], &results[theirs].values[values[i]]);
  }
}

static void bench_size(long mebibytes, long forks, long rounds) {
  measure_kinds(mebibytes, forks, rounds);
  const struct aims linked = {{"1.01", "0", "1"}}, used = {{"1.1", "3", "1"}}, none = {{NULL}};
  print(LINKED, WITHOUT, mebibytes, linked);
  print(LINKED, NOTHING, mebibytes, linked);
  print(IN_USE, WITHOUT, mebibytes, used);
  print(HOOKS, WITHOUT, mebibytes, none);
  print(PTHREAD, WITHOUT, mebibytes, none);
  print(HOOKS, PTHREAD, mebibytes, used);
}

/* 1 GiB, or the part of it that is free. */
static long large(void) {
  long available = (long)((double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 20));
  long mebibytes = unless_quick(1024, 16);
  while (mebibytes > available / 4 * 3 && mebibytes > 1) mebibytes /= 2;
  return mebibytes;
}

int main(int argc, char **argv) {
  bench_init(argc, argv);
  bench_size(0, unless_quick(50, 5), unless_quick(51, 3));
  bench_size(large(), unless_quick(5, 3), unless_quick(15, 3));
  return 0;
}
