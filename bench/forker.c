/* SPDX-License-Identifier: MIT */
/*
 * A process of one kind, that forks when it is asked: forker KIND MEBIBYTES FORKS.  Built with the library; with
 * WITHOUT_ATFORK, without it; and with WITH_NOTHING too, with a library that has nothing in it.  It is a program and
 * not a child of forks.c so that it is a small process with nothing else in it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "forked.h"
#include "worker.h"

enum { HOOKS = 10 };

#ifdef WITHOUT_ATFORK
static void handler(void) {
}

#ifdef WITH_NOTHING
void bench_nothing(void *data);
#else
static void bench_nothing(void *data) {
  (void)data;
}
#endif

static void become(const char *kind) {
  bench_nothing(NULL);
  for (int i = 0; i < HOOKS && strcmp(kind, "pthread_atfork") == 0; i++)
    require(pthread_atfork(handler, handler, handler) == 0);
}
#else
#include "hooks.h"

static void become(const char *kind) {
  if (strcmp(kind, "linked") == 0) return;
  (void)(atfork_generation)();
  if (strcmp(kind, "hooks") == 0) register_many_ours(HOOKS);
}
#endif

static void touch(size_t size) {
  if (size == 0) return;
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED);
  memset(memory, 1, size);
}

static void measure(void *arg, double *values) {
  const long *forks = arg;
  measure_forks(*forks, values);
}

int main(int argc, char **argv) {
  require(argc == 4);
  long forks = strtol(argv[3], NULL, 10);
  struct job job = {.measure = measure, .arg = &forks};
  become(argv[1]);
  touch((size_t)strtol(argv[2], NULL, 10) << 20);
  worker_serve(&job, stdin, stdout);
  return 0;
}
