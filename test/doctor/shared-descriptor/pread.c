/* SPDX-License-Identifier: MIT */
/* After maxmind/MaxMind-DB-Reader-python#12: both read the file by pread(), which has no offset. */
/* finds: nothing */
#include "../program.h"

static char path[] = "/tmp/doctor-XXXXXX";

int main(void) {
  char line[4];
  int file = mkostemp(path, O_CLOEXEC);
  must(file != -1 && write(file, "one\ntwo\n", 8) == 8);
  unlink(path);
  pid_t child = fork();
  if (child == 0) {
    must(pread(file, line, sizeof line, 4) == sizeof line);
    _exit(0);
  }
  wait_for(child);
  must(pread(file, line, sizeof line, 0) == sizeof line);
  return 0;
}
