/* SPDX-License-Identifier: MIT */
/* After JonathonReinhart/staticx#4: the file is for the child, which deletes it; the parent has closed it, and is done
 * with it. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  char path[] = "/tmp/doctor-XXXXXX";
  int file = mkostemp(path, O_CLOEXEC);
  must(file != -1 && write(file, "job\n", 4) == 4 && close(file) == 0);
  pid_t child = fork();
  if (child == 0) {
    char job[4];
    file = open(path, O_RDONLY | O_CLOEXEC);
    must(read(file, job, sizeof job) == sizeof job);
    unlink(path);
    _exit(0);
  }
  wait_for(child);
  return 0;
}
