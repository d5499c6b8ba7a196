/* SPDX-License-Identifier: MIT */
/*
 * Promise 12: what the library costs the forks of a program that never calls it.  Says how many page faults more a
 * child and its parent have once it is loaded; in one program, so that all else is equal.
 *
 * linked LIBRARY
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 50 };
enum { CHILD, PARENT, PROCESSES };

static long (*faults)[ROUNDS]; /* shared */

static long faults_so_far(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

static int by_value(const void *a, const void *b) {
  long difference = *(const long *)a - *(const long *)b;
  return difference < 0 ? -1 : difference > 0;
}

static void count_faults(int round) {
  long before = faults_so_far();
  pid_t pid = fork();
  if (pid == 0) {
    faults[CHILD][round] = faults_so_far();
    _exit(0);
  }
  if (pid < 0 || waitpid(pid, NULL, 0) != pid) exit(1);
  faults[PARENT][round] = faults_so_far() - before;
}

/* The medians: which pages are there already varies a little. */
static void measure(long *medians) {
  for (int i = -ROUNDS; i < ROUNDS; i++) count_faults(i < 0 ? 0 : i);
  for (int i = 0; i < PROCESSES; i++) {
    qsort(faults[i], ROUNDS, sizeof **faults, by_value);
    medians[i] = faults[i][ROUNDS / 2];
  }
}

int main(int argc, char **argv) {
  long without[PROCESSES], with[PROCESSES];
  if (argc != 2) return 2;
  faults = mmap(NULL, PROCESSES * sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (faults == MAP_FAILED) return 1;
  measure(without);
  if (dlopen(argv[1], RTLD_NOW) == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  measure(with);
  printf("%ld %ld\n", with[CHILD] - without[CHILD], with[PARENT] - without[PARENT]);
  return 0;
}
