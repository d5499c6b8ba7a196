/* SPDX-License-Identifier: MIT */
/* After maxmind/MaxMind-DB-Reader-python#12: both read an open file, and move its one offset. */
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
  char line[4];
  int file = make_file();
  pid_t child = fork();
  if (child == 0) {
    must(read(file, line, sizeof line) == sizeof line);
    _exit(0);
  }
  wait_for(child);
  must(read(file, line, sizeof line) == sizeof line);
  return line[0] == 't' ? 0 : BROKEN;
}
