/* SPDX-License-Identifier: MIT */
/* Threads: how many registrations, and how many forks, a second; here more is better. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "hooks.h"

enum { THREADS_MAX = 8 };

struct load {
  int threads;
  long calls; /* of each thread */
  pthread_barrier_t barrier;
  atomic_bool stop;
};

/* ---- A crew of threads that begin together ---- */

struct member {
  pthread_t thread;
  struct load *load;
  void (*work)(const struct load *load);
  double began, ended;
};

static void *run_member(void *arg) {
  struct member *member = arg;
  pthread_barrier_wait(&member->load->barrier);
  member->began = now();
  member->work(member->load);
  member->ended = now();
  return NULL;
}

/* How many calls a second all of them made, from the first one's begin to the last one's end. */
static double run_crew(struct load *load, void (*work)(const struct load *load)) {
  struct member members[THREADS_MAX];
  double began = INFINITY, ended = 0;
  require(pthread_barrier_init(&load->barrier, NULL, (unsigned)load->threads) == 0);
  for (int i = 0; i < load->threads; i++) {
    members[i] = (struct member){.load = load, .work = work};
    require(pthread_create(&members[i].thread, NULL, run_member, &members[i]) == 0);
  }
  for (int i = 0; i < load->threads; i++) {
    pthread_join(members[i].thread, NULL);
    began = fmin(began, members[i].began);
    ended = fmax(ended, members[i].ended);
  }
  pthread_barrier_destroy(&load->barrier);
  return (double)(load->calls * load->threads) / (ended - began) * 1e9;
}

/* ---- Registrations ---- */

static void work_ours(const struct load *load) {
  register_many_ours(load->calls);
}

static void work_ours_and_back(const struct load *load) {
  for (long i = 0; i < load->calls; i++) require(atfork_unregister(register_ours(0)) == 0);
}

static void work_theirs(const struct load *load) {
  register_many_theirs(load->calls);
}

static void measure_ours(void *arg, double *values) {
  values[0] = run_crew(arg, work_ours);
}

static void measure_ours_and_back(void *arg, double *values) {
  values[0] = run_crew(arg, work_ours_and_back);
}

static void measure_theirs(void *arg, double *values) {
  values[0] = run_crew(arg, work_theirs);
}

/* ---- Forks, while one thread more has hooks come and go, or does nothing for as long ---- */

static void *come_and_go(void *arg) {
  struct load *load = arg;
  while (!atomic_load_explicit(&load->stop, memory_order_relaxed)) require(atfork_unregister(register_ours(0)) == 0);
  return NULL;
}

static void *idle(void *arg) {
  struct load *load = arg;
  while (!atomic_load_explicit(&load->stop, memory_order_relaxed)) continue;
  return NULL;
}

static void work_fork(const struct load *load) {
  for (long i = 0; i < load->calls; i++) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    require(pid > 0 && waitpid(pid, NULL, 0) == pid);
  }
}

static double run_forks(struct load *load, void *(*beside)(void *)) {
  pthread_t other;
  atomic_store_explicit(&load->stop, false, memory_order_relaxed);
  require(pthread_create(&other, NULL, beside, load) == 0);
  double rate = run_crew(load, work_fork);
  atomic_store_explicit(&load->stop, true, memory_order_relaxed);
  pthread_join(other, NULL);
  return rate;
}

static void measure_forks_and_hooks(void *arg, double *values) {
  values[0] = run_forks(arg, come_and_go);
}

static void measure_forks_alone(void *arg, double *values) {
  values[0] = run_forks(arg, idle);
}

/* ---- Rows ---- */

struct row {
  const char *what, *peer;
  void (*ours)(void *arg, double *values);
  void (*theirs)(void *arg, double *values);
  long calls;
};

static void bench_row(const struct row *row, int threads, long rounds) {
  char name[64];
  struct load load = {.threads = threads, .calls = row->calls / threads};
  struct job jobs[] = {{.measure = row->ours, .arg = &load}, {.measure = row->theirs, .arg = &load}};
  static struct results results[2];
  interleave_fresh(jobs, results, 2, rounds);
  snprintf(name, sizeof name, "%s, %d thread%s", row->what, threads, threads == 1 ? "" : "s");
  struct figure figure = {.row = "threads", .name = name, .peer = row->peer, .unit = "/s"};
  print_figure(&figure, &results[0].values[0], &results[1].values[0]);
}

int main(int argc, char **argv) {
  bench_init(argc, argv);
  const struct row rows[] = {
      {"registrations", "pthread_atfork()", measure_ours, measure_theirs, unless_quick(400000, 4000)},
      {"registrations, each taken back", "pthread_atfork()", measure_ours_and_back, measure_theirs,
       unless_quick(400000, 4000)},
      {"forks as hooks come and go", "the same, library not called", measure_forks_and_hooks, measure_forks_alone,
       unless_quick(800, 40)},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (int threads = 1; threads <= (quick ? 2 : THREADS_MAX); threads *= 2)
      bench_row(&rows[i], threads, unless_quick(11, 3));
  return 0;
}
