/* SPDX-License-Identifier: MIT */
/* After puma/puma#334: a worker that ends deletes the file with its master's number. */
/* finds: deleted-file */
#include "../program.h"

static char path[64];

int main(void) {
  snprintf(path, sizeof path, "/tmp/doctor-%d.pid", (int)getpid());
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  must(file != -1 && dprintf(file, "%d\n", (int)getpid()) > 0);
  pid_t worker = fork();
  if (worker == 0) {
    unlink(path);
    _exit(0);
  }
  wait_for(worker);
  return unlink(path) == -1 ? 0 : BROKEN;
}
