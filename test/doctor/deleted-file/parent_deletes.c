/* SPDX-License-Identifier: MIT */
/* After gap-system/gap#2827: the child uses the file, and the parent deletes it. */
/* finds: nothing */
#include "../program.h"

static char path[] = "/tmp/doctor-XXXXXX";

int main(void) {
  int file = mkostemp(path, O_CLOEXEC);
  must(file != -1);
  pid_t child = fork();
  if (child == 0) {
    must(open(path, O_RDONLY | O_CLOEXEC) != -1);
    _exit(0);
  }
  wait_for(child);
  unlink(path);
  return 0;
}
