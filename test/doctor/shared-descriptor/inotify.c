/* SPDX-License-Identifier: MIT */
/* After systemd/systemd#72: a worker reads the events of its parent's inotify. */
/* finds: shared-descriptor */
#include "../program.h"

#include <sys/inotify.h>

static void take(int descriptor) {
  char events[256];
  must(read(descriptor, events, sizeof events) > 0 || errno == EAGAIN);
}

int main(void) {
  int descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  must(descriptor != -1 && inotify_add_watch(descriptor, "/tmp", IN_CREATE) != -1);
  pid_t child = fork();
  if (child == 0) {
    take(descriptor);
    _exit(0);
  }
  wait_for(child);
  take(descriptor);
  return 0;
}
