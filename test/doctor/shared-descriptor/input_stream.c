/* SPDX-License-Identifier: MIT */
/* After cs341-illinois/coursebook#40: exit() of the child gives back what its stream has read ahead; the parent reads
 * it twice. */
/* finds: shared-descriptor */
#include "../program.h"

static char path[] = "/tmp/doctor-XXXXXX";

static int make_file(void) {
  int file = mkostemp(path, O_CLOEXEC);
  must(file != -1 && write(file, "one\ntwo\nsix\n", 12) == 12 && lseek(file, 0, SEEK_SET) == 0);
  unlink(path);
  return file;
}

int main(void) {
  char line[16];
  FILE *file = fdopen(make_file(), "r");
  unsigned lines = 0;
  must(file != NULL && fgets(line, sizeof line, file) != NULL);
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  while (fgets(line, sizeof line, file) != NULL) ++lines;
  return lines == 4 ? 0 : BROKEN;
}
