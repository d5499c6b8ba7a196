/* SPDX-License-Identifier: MIT */
/* After systemd/systemd#72: a worker reads the events of its parent's inotify. */
/* finds: shared-descriptor */
#include "both.h"

#include <sys/inotify.h>

int main(void) {
  int descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  must(descriptor != -1 && inotify_add_watch(descriptor, "/tmp", IN_CREATE) != -1);
  return use_in_both(take_events, descriptor);
}
