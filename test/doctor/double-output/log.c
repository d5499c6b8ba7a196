/* SPDX-License-Identifier: MIT */
/* After OpenDataPlane/odp#2251: a log file's buffer is not empty at the fork, and the child goes on to the end of
 * main(). */
/* finds: double-output */
#include "../program.h"

int main(void) {
  char path[] = "/tmp/doctor-XXXXXX";
  FILE *journal = fdopen(mkostemp(path, O_CLOEXEC), "w");
  must(journal != NULL);
  unlink(path);
  fprintf(journal, "begins");
  pid_t child = fork();
  if (child != 0) wait_for(child);
  return 0;
}
