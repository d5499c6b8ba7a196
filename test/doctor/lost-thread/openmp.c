/* SPDX-License-Identifier: MIT */
/* After facebookresearch/faiss#5206: the team of OpenMP is lost, and the child's next parallel region waits for it. */
/* finds: lost-thread */
/* needs: openmp */
#include "../program.h"

#include <omp.h>

static int work(void) {
  int sum = 0;
#pragma omp parallel num_threads(3) reduction(+ : sum)
  sum += omp_get_thread_num();
  return sum;
}

int main(void) {
  must(work() == 3);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    must(work() == 3);
    _exit(0);
  }
  wait_for(child);
  return 0;
}
