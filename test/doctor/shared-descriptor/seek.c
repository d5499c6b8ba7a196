/* SPDX-License-Identifier: MIT */
/* After Perl/perl5#7316: the child seeks in a file which its parent is reading. */
/* finds: shared-descriptor */
#include "both.h"

static int file;

static void rewind_file(void) {
  must(lseek(file, 0, SEEK_SET) == 0);
}

int main(void) {
  file = make_file();
  must(read_line(file) == 'o' && fork_once(rewind_file) == 0);
  return read_line(file) == 'o' ? 0 : BROKEN;
}
