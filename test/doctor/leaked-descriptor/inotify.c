/* SPDX-License-Identifier: MIT */
/* After fsnotify/fsnotify#155: another program gets the watches of its parent. */
/* finds: leaked-descriptor */
#include "../program.h"

#include <sys/inotify.h>

int main(void) {
  int watches = inotify_init();
  must(watches != -1);
  pid_t child = vfork();
  if (child == 0) {
    execl("/bin/true", "true", (char *)NULL);
    _exit(BROKEN);
  }
  wait_for(child);
  return 0;
}
