/* SPDX-License-Identifier: MIT */
/* After Macaulay2/M2#296: the child removes the temporary directory, and what its parent has put there. */
/* finds: deleted-file */
#include "../program.h"

static char directory[] = "/tmp/doctor-XXXXXX", path[64];

static void clean_up(void) {
  unlink(path);
  rmdir(directory);
}

int main(void) {
  must(mkdtemp(directory) != NULL);
  snprintf(path, sizeof path, "%s/answer", directory);
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  must(file != -1);
  pid_t child = fork();
  if (child == 0) {
    clean_up();
    _exit(0);
  }
  wait_for(child);
  must(open(path, O_RDONLY | O_CLOEXEC) == -1);
  clean_up();
  return 0;
}
