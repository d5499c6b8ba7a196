/* SPDX-License-Identifier: MIT */
/* After cs341-illinois/coursebook#40: exit() in the child gives back what its stream has read ahead. */
/* finds: shared-descriptor */
#include "both.h"

static void end(void) {
  exit(0);
}

int main(void) {
  char line[16];
  FILE *file = fdopen(make_file(), "r");
  unsigned lines = 0;
  must(file != NULL && fgets(line, sizeof line, file) != NULL);
  fork_once(end);
  while (fgets(line, sizeof line, file) != NULL) ++lines;
  return lines == 4 ? 0 : BROKEN;
}
