/* SPDX-License-Identifier: MIT */
/* After php/php-src#21352: the state of drand48_r() is in the program's memory, and so in both. */
/* finds: same-random */
#include "../program.h"

static struct drand48_data state;

static double draw(void) {
  double number;
  drand48_r(&state, &number);
  return number;
}

int main(void) {
  srand48_r(time(NULL), &state);
  pid_t child = fork();
  if (child == 0) {
    printf("child %f\n", draw());
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %f\n", draw());
  return 0;
}
