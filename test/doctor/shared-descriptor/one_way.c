/* SPDX-License-Identifier: MIT */
/* After jleffler/soq#158: the child writes to the pipe, and the parent reads. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  char answer[6];
  int ends[2];
  must(pipe2(ends, O_CLOEXEC) == 0);
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    must(write(ends[1], "answer", 6) == 6);
    _exit(0);
  }
  close(ends[1]);
  must(read(ends[0], answer, sizeof answer) == sizeof answer);
  must(read(ends[0], answer, sizeof answer) == 0);
  wait_for(child);
  return 0;
}
