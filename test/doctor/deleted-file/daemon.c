/* SPDX-License-Identifier: MIT */
/* After unfs3/unfs3#28: the file of a daemon, made before the fork: its parent is gone as the daemon deletes it. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  char path[] = "/tmp/doctor-XXXXXX";
  struct gate orphaned;
  int file = mkostemp(path, O_CLOEXEC);
  gate_make(&orphaned);
  must(file != -1);
  pid_t child = fork();
  if (child == 0) {
    pid_t daemon = fork();
    if (daemon != 0) _exit(0);
    setsid();
    gate_wait(&orphaned);
    must(dprintf(file, "%d\n", (int)getpid()) > 0);
    unlink(path);
    _exit(0);
  }
  wait_for(child);
  gate_open(&orphaned);
  _exit(0);
}
