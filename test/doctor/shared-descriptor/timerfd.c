/* SPDX-License-Identifier: MIT */
/* After smol-rs/polling#37: both read one timer, and only one learns that it has run out. */
/* finds: shared-descriptor */
#include "../program.h"

#include <sys/timerfd.h>

static void take(int descriptor) {
  char events[256];
  must(read(descriptor, events, sizeof events) > 0 || errno == EAGAIN);
}

int main(void) {
  struct itimerspec soon = {.it_value.tv_nsec = 1};
  int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  must(descriptor != -1 && timerfd_settime(descriptor, 0, &soon, NULL) == 0);
  pid_t child = fork();
  if (child == 0) {
    take(descriptor);
    _exit(0);
  }
  wait_for(child);
  take(descriptor);
  return 0;
}
