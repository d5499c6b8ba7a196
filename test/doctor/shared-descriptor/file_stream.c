/* SPDX-License-Identifier: MIT */
/* After Perl/perl5#3545: both read a stream that nobody has read before the fork, and one finds its end. */
/* finds: shared-descriptor */
#include "../program.h"

static unsigned count(FILE *file) {
  char line[256];
  unsigned lines = 0;
  while (fgets(line, sizeof line, file) != NULL) ++lines;
  return lines;
}

int main(void) {
  FILE *file = fopen("/proc/self/status", "re");
  must(file != NULL);
  pid_t child = fork();
  if (child == 0) {
    must(count(file) > 0);
    _exit(0);
  }
  wait_for(child);
  return count(file) == 0 ? 0 : BROKEN;
}
