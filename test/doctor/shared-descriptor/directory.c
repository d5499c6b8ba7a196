/* SPDX-License-Identifier: MIT */
/* After gramineproject/gramine#254: both read the entries of a directory that was opened before the fork. */
/* finds: shared-descriptor */
#include "../program.h"

#include <dirent.h>

static unsigned count(DIR *directory) {
  unsigned entries = 0;
  while (readdir(directory) != NULL) ++entries;
  return entries;
}

int main(void) {
  DIR *directory = opendir("/proc/self");
  must(directory != NULL);
  pid_t child = fork();
  if (child == 0) {
    must(count(directory) > 0);
    _exit(0);
  }
  wait_for(child);
  return count(directory) == 0 ? 0 : BROKEN;
}
