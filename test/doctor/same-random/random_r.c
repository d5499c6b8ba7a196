/* SPDX-License-Identifier: MIT */
/* After rust-random/rand#1362: the generator is an object, and both sides have a copy of it. */
/* finds: same-random */
#include "../program.h"

static struct random_data generator;
static char state[64];

static int draw(void) {
  int32_t number;
  must(random_r(&generator, &number) == 0);
  return number;
}

int main(void) {
  must(initstate_r((unsigned)time(NULL), state, sizeof state, &generator) == 0);
  pid_t child = fork();
  if (child == 0) {
    printf("child %d\n", draw());
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  printf("parent %d\n", draw());
  return 0;
}
