/* SPDX-License-Identifier: MIT */
/* After kazuho/Starlet#16: all workers are seeded by their parent, and draw the same numbers. */
/* finds: same-random */
#include "../program.h"

static void serve(void) {
  printf("session %d\n", rand());
  fflush(stdout);
  _exit(0);
}

int main(void) {
  pid_t workers[2];
  srand((unsigned)time(NULL));
  for (int i = 0; i < 2; ++i) {
    workers[i] = fork();
    if (workers[i] == 0) serve();
  }
  for (int i = 0; i < 2; ++i) wait_for(workers[i]);
  return 0;
}
