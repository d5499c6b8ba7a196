/* SPDX-License-Identifier: MIT */
/* After libuv/libuv#1369: the child opens the file itself, and has an offset of its own. */
/* finds: nothing */
#include "../program.h"

static void read_line(int file) {
  char line[4];
  must(read(file, line, sizeof line) == sizeof line);
}

int main(void) {
  int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  must(file != -1);
  pid_t child = fork();
  if (child == 0) {
    close(file);
    must((file = open("/proc/self/status", O_RDONLY | O_CLOEXEC)) != -1);
    read_line(file);
    _exit(0);
  }
  wait_for(child);
  read_line(file);
  return 0;
}
