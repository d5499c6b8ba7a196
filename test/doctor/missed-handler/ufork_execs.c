/* SPDX-License-Identifier: MIT */
/* After xroche/httrack#968: _Fork(), but the child is another program at once. */
/* finds: nothing */
#include "../program.h"

static void reset(void) {
}

int main(void) {
  must(pthread_atfork(reset, reset, reset) == 0);
  pid_t child = _Fork();
  if (child == 0) {
    execl("/bin/true", "true", (char *)NULL);
    _exit(BROKEN);
  }
  wait_for(child);
  return 0;
}
