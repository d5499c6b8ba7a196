/* SPDX-License-Identifier: MIT */
/* Forks under busy mutexes: registered ones, against pthread_atfork() handlers that lock them. */
#include <atfork.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { FORKS_MAX = 100, INSIDE = 50000 /* ns, in a mutex each time */, OUTSIDE = 500 /* ns, between two times */ };

/* Locked in this order, by threads and by handlers. */
static pthread_mutex_t mutexes[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

struct load {
  const char *name;
  int threads, mutexes;
  long forks;
};

static void be_busy(double ns) {
  for (double end = now() + ns; now() < end;) continue;
}

static atomic_bool is_busy;

static void *keep_busy(void *arg) {
  const struct load *load = arg;
  for (;;) {
    for (int i = 0; i < load->mutexes; i++) pthread_mutex_lock(&mutexes[i]);
    is_busy = true;
    be_busy(INSIDE);
    for (int i = load->mutexes; i-- > 0;) pthread_mutex_unlock(&mutexes[i]);
    be_busy(OUTSIDE);
  }
  return NULL;
}

static void start(struct load *load) {
  pthread_t thread;
  for (int i = 0; i < load->threads; i++) require(pthread_create(&thread, NULL, keep_busy, load) == 0);
  while (!is_busy) continue;
}

/* `prepare` runs in the reverse of the order in which these are registered. */
static void set_up_ours(void *arg) {
  struct load *load = arg;
  for (int i = load->mutexes; i-- > 0;) require(atfork_register_mutex(&mutexes[i], 0) != 0);
  start(load);
}

static int of_theirs;

static void lock_theirs(void) {
  for (int i = 0; i < of_theirs; i++) pthread_mutex_lock(&mutexes[i]);
}

static void unlock_theirs(void) {
  for (int i = of_theirs; i-- > 0;) pthread_mutex_unlock(&mutexes[i]);
}

static void set_up_theirs(void *arg) {
  struct load *load = arg;
  of_theirs = load->mutexes;
  require(pthread_atfork(lock_theirs, unlock_theirs, unlock_theirs) == 0);
  start(load);
}

static double fork_once(void) {
  double began = now();
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  double took = now() - began;
  require(pid > 0 && waitpid(pid, NULL, 0) == pid);
  return took;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* The median, and the worst. */
static void measure(void *arg, double *values) {
  const struct load *load = arg;
  double took[FORKS_MAX];
  for (long i = 0; i < load->forks; i++) took[i] = fork_once();
  qsort(took, (size_t)load->forks, sizeof took[0], by_value);
  values[0] = took[load->forks / 2];
  values[1] = took[load->forks - 1];
}

static void bench_load(struct load *load, long rounds) {
  struct job jobs[] = {{set_up_ours, measure, load}, {set_up_theirs, measure, load}};
  static const char *const what[] = {"median fork", "worst fork"};
  static struct results results[2];
  interleave_fresh(jobs, results, 2, rounds);
  for (int i = 0; i < 2; i++) {
    char name[128];
    snprintf(name, sizeof name, "%s: %s of %ld", load->name, what[i], load->forks);
    struct figure figure = {
        .row = "busy", .name = name, .peer = "pthread_atfork() that locks", .unit = "ns", .aim = "2"};
    print_figure(&figure, &results[0].values[i], &results[1].values[i]);
  }
}

int main(int argc, char **argv) {
  bench_init(argc, argv);
  struct load loads[] = {
      {"1 thread, 1 mutex", 1, 1, unless_quick(FORKS_MAX, 5)},
      {"4 threads, 2 mutexes", 4, 2, unless_quick(FORKS_MAX, 5)},
  };
  for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) bench_load(&loads[i], unless_quick(11, 1));
  return 0;
}
