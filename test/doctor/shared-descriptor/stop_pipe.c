/* SPDX-License-Identifier: MIT */
/* After apache/httpd#198: whichever worker reads a byte of the pipe is to end; they only read there, and each byte is
 * whole. */
/* finds: nothing */
#include "../program.h"

static void work(const struct gate *stop, const struct gate *both_are_there) {
  gate_wait(both_are_there);
  gate_wait(stop);
  _exit(0);
}

int main(void) {
  pid_t workers[2];
  struct gate stop, gates[2];
  gate_make(&stop);
  for (int i = 0; i < 2; ++i) {
    gate_make(&gates[i]);
    workers[i] = fork();
    if (workers[i] == 0) work(&stop, &gates[i]);
  }
  for (int i = 0; i < 2; ++i) gate_open(&gates[i]);
  for (int i = 0; i < 2; ++i) gate_open(&stop);
  for (int i = 0; i < 2; ++i) wait_for(workers[i]);
  return 0;
}
