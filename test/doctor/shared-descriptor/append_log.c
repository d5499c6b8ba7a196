/* SPDX-License-Identifier: MIT */
/* After Lind-Project/safeposix-rust#261: all write whole lines to a log in append mode. */
/* finds: nothing */
#include "../program.h"

static char path[] = "/tmp/doctor-XXXXXX";

int main(void) {
  int made = mkostemp(path, O_CLOEXEC);
  int journal = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  must(made != -1 && journal != -1);
  unlink(path);
  must(write(journal, "begins\n", 7) == 7);
  pid_t child = fork();
  if (child == 0) {
    must(write(journal, "child\n", 6) == 6);
    _exit(0);
  }
  wait_for(child);
  must(write(journal, "parent\n", 7) == 7);
  return 0;
}
