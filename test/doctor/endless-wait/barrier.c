/* SPDX-License-Identifier: MIT */
/* After OpenMathLib/OpenBLAS#1456: the child comes to a barrier of three, and is alone. */
/* finds: endless-wait */
#include "../program.h"

static pthread_barrier_t barrier;

static void meet(void) {
  pthread_barrier_wait(&barrier);
}

int main(void) {
  struct stayer workers[2];
  pthread_barrier_init(&barrier, NULL, 3);
  for (int i = 0; i < 2; ++i) stayer_start(&workers[i], NULL, meet);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    meet();
    _exit(0);
  }
  wait_for(child);
  for (int i = 0; i < 2; ++i) gate_open(&workers[i].leave);
  meet();
  for (int i = 0; i < 2; ++i) pthread_join(workers[i].thread, NULL);
  return 0;
}
