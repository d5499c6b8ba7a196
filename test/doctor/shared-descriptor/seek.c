/* SPDX-License-Identifier: MIT */
/* After Perl/perl5#7316: the child seeks in a file which its parent is reading. */
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
  must(read(file, line, sizeof line) == sizeof line);
  pid_t child = fork();
  if (child == 0) {
    must(lseek(file, 0, SEEK_SET) == 0);
    _exit(0);
  }
  wait_for(child);
  must(read(file, line, sizeof line) == sizeof line);
  return line[0] == 'o' ? 0 : BROKEN;
}
