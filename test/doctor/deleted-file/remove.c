/* SPDX-License-Identifier: MIT */
/* After heimdal/heimdal#23: the child of one connection deletes, by remove(), what is its server's. */
/* finds: deleted-file */
#include "../program.h"

static char path[] = "/tmp/doctor-XXXXXX.pid";

int main(void) {
  struct stat status;
  int file = mkostemps(path, 4, O_CLOEXEC);
  must(file != -1);
  pid_t child = fork();
  if (child == 0) {
    remove(path);
    _exit(0);
  }
  wait_for(child);
  return stat(path, &status) == -1 ? 0 : BROKEN;
}
