/* SPDX-License-Identifier: MIT */
/* After gramineproject/gramine#254: each process opens the directory for itself. */
/* finds: nothing */
#include "../program.h"

#include <dirent.h>

static void list(void) {
  DIR *directory = opendir("/proc/self");
  must(directory != NULL);
  while (readdir(directory) != NULL) continue;
  closedir(directory);
}

int main(void) {
  list();
  pid_t child = fork();
  if (child == 0) {
    list();
    _exit(0);
  }
  list();
  wait_for(child);
  return 0;
}
