/* SPDX-License-Identifier: MIT */
/* After maxmind/MaxMind-DB-Reader-python#12: both read an open file, and move its one offset. */
/* finds: shared-descriptor */
#include "both.h"

static int file;

static void read_once(void) {
  must(read_line(file) == 'o');
}

int main(void) {
  file = make_file();
  must(fork_once(read_once) == 0);
  return read_line(file) == 't' ? 0 : BROKEN;
}
