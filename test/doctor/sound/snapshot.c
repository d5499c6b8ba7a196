/* SPDX-License-Identifier: MIT */
/* After RediSearch/RediSearch#952: the child writes down a state of its parent's memory, and sends it by a pipe. */
/* finds: nothing */
#include "../program.h"

static int numbers[1000];

int main(void) {
  int copy[1000], ends[2];
  for (int i = 0; i < 1000; ++i) numbers[i] = i;
  must(pipe2(ends, O_CLOEXEC) == 0);
  pid_t child = fork();
  if (child == 0) {
    must(write(ends[1], numbers, sizeof numbers) == sizeof numbers);
    _exit(0);
  }
  numbers[0] = 7;
  must(read(ends[0], copy, sizeof copy) == sizeof copy);
  must(copy[0] == 0 && copy[999] == 999);
  wait_for(child);
  return 0;
}
