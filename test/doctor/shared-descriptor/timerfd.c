/* SPDX-License-Identifier: MIT */
/* After smol-rs/polling#37: both read one timer, and only one learns that it has run out. */
/* finds: shared-descriptor */
#include "both.h"

#include <sys/timerfd.h>

int main(void) {
  struct itimerspec soon = {.it_value.tv_nsec = 1};
  int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  must(descriptor != -1 && timerfd_settime(descriptor, 0, &soon, NULL) == 0);
  return use_in_both(take_events, descriptor);
}
