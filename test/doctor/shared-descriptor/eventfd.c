/* SPDX-License-Identifier: MIT */
/* After smol-rs/polling#37: both read the eventfd that wakes a loop, and one takes the other's wake-up. */
/* finds: shared-descriptor */
#include "../program.h"

#include <sys/eventfd.h>

static void take(int descriptor) {
  char events[256];
  must(read(descriptor, events, sizeof events) > 0 || errno == EAGAIN);
}

int main(void) {
  int descriptor = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  must(descriptor != -1);
  pid_t child = fork();
  if (child == 0) {
    take(descriptor);
    _exit(0);
  }
  wait_for(child);
  take(descriptor);
  return 0;
}
