/* SPDX-License-Identifier: MIT */
/* After bpftrace/bpftrace#1715: the parent writes to the eventfd, and the child reads it. */
/* finds: nothing */
#include "../program.h"

#include <sys/eventfd.h>

int main(void) {
  eventfd_t count;
  int start = eventfd(0, EFD_CLOEXEC);
  must(start != -1);
  pid_t child = fork();
  if (child == 0) {
    must(eventfd_read(start, &count) == 0);
    _exit(0);
  }
  must(eventfd_write(start, 1) == 0);
  wait_for(child);
  return 0;
}
