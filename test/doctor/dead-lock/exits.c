/* SPDX-License-Identifier: MIT */
/* After libuv/libuv#1369: a thread has a lock, but the child writes a byte and ends. */
/* finds: nothing */
#include "../mutex.h"

static void write_a_line(void) {
  must(write(STDERR_FILENO, "child\n", 6) == 6);
}

int main(void) {
  fork_beside(take, give, write_a_line);
  return 0;
}
