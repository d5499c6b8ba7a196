/* SPDX-License-Identifier: MIT */
/* After smol-rs/polling#37: both read the eventfd that wakes a loop, and one takes the other's wake-up. */
/* finds: shared-descriptor */
#include "both.h"

#include <sys/eventfd.h>

int main(void) {
  int descriptor = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  must(descriptor != -1);
  return use_in_both(take_events, descriptor);
}
