/* SPDX-License-Identifier: MIT */
/* After redis/redis#8231: on its way out, the child deletes a file of its parent's. */
/* finds: deleted-file */
#include "../program.h"

static char path[] = "/tmp/doctor-XXXXXX";

int main(void) {
  int file = mkostemp(path, O_CLOEXEC);
  must(file != -1);
  pid_t child = fork();
  if (child == 0) {
    unlink(path);
    _exit(0);
  }
  wait_for(child);
  return open(path, O_RDONLY | O_CLOEXEC) == -1 ? 0 : BROKEN;
}
