/* SPDX-License-Identifier: MIT */
/* After maxmind/MaxMind-DB-Reader-python#12: both read the file by pread(), which has no offset. */
/* finds: nothing */
#include "both.h"

static void read_at(int file) {
  char line[4];
  must(pread(file, line, sizeof line, 4) == sizeof line && line[0] == 't');
}

int main(void) {
  return use_in_both(read_at, make_file());
}
