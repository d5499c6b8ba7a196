/* SPDX-License-Identifier: MIT */
/* After OpenMathLib/OpenBLAS#2270: two threads fork at the same time, and each child ends at once. */
/* finds: nothing */
#include "../program.h"

static void *fork_often(void *unused) {
  for (int i = 0; i < 5; ++i) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    wait_for(child);
  }
  return unused;
}

int main(void) {
  pthread_t threads[2];
  for (int i = 0; i < 2; ++i) must(pthread_create(&threads[i], NULL, fork_often, NULL) == 0);
  for (int i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
  return 0;
}
