/* SPDX-License-Identifier: MIT */
/* After jltsiren/gcsa2#42: the child deletes what its parent made in the temporary directory that it works in. */
/* finds: deleted-file */
#include "../program.h"

int main(void) {
  char directory[] = "/tmp/doctor-XXXXXX";
  must(mkdtemp(directory) != NULL && chdir(directory) == 0);
  int file = open("work", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  must(file != -1);
  pid_t child = fork();
  if (child == 0) {
    unlink("work");
    _exit(0);
  }
  wait_for(child);
  must(write(file, "result\n", 7) == 7);
  rmdir(directory);
  return 0;
}
