/* SPDX-License-Identifier: MIT */
/* After axboe/liburing#731: both submit to one io_uring, and spoil its queue. */
/* finds: shared-descriptor */
#include "../program.h"

#include <linux/io_uring.h>

static int enter(int ring) {
  return (int)syscall(SYS_io_uring_enter, ring, 0, 0, 0, NULL, 0);
}

int main(void) {
  struct io_uring_params params = {0};
  int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
  if (ring == -1) return CANNOT_RUN;
  must(enter(ring) == 0);
  pid_t child = fork();
  if (child == 0) {
    must(enter(ring) == 0);
    _exit(0);
  }
  wait_for(child);
  must(enter(ring) == 0);
  return 0;
}
