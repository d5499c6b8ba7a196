/* SPDX-License-Identifier: MIT */
/* After stripe/subprocess#38: two workers read lines from one pipe, and each takes a piece of the other's. */
/* finds: shared-descriptor */
#include "../program.h"

static void work(int jobs, const struct gate *both_are_there) {
  char line[6];
  gate_wait(both_are_there);
  must(read(jobs, line, sizeof line) == sizeof line);
  _exit(0);
}

int main(void) {
  int jobs[2];
  pid_t workers[2];
  struct gate gates[2];
  must(pipe2(jobs, O_CLOEXEC) == 0);
  must(write(jobs[1], "job\nanother\n", 12) == 12);
  for (int i = 0; i < 2; ++i) {
    gate_make(&gates[i]);
    workers[i] = fork();
    if (workers[i] == 0) work(jobs[0], &gates[i]);
  }
  for (int i = 0; i < 2; ++i) gate_open(&gates[i]);
  for (int i = 0; i < 2; ++i) wait_for(workers[i]);
  return 0;
}
