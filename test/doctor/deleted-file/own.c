/* SPDX-License-Identifier: MIT */
/* After Perl/perl5#7749: the child deletes a file that it has made itself. */
/* finds: nothing */
#include "../program.h"

static void make_and_delete(void) {
  char path[] = "/tmp/doctor-XXXXXX";
  int file = mkostemp(path, O_CLOEXEC);
  must(file != -1);
  unlink(path);
}

int main(void) {
  make_and_delete();
  pid_t child = fork();
  if (child == 0) {
    make_and_delete();
    _exit(0);
  }
  wait_for(child);
  return 0;
}
