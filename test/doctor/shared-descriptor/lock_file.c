/* SPDX-License-Identifier: MIT */
/* After spack/spack#52004: both lock a file that was opened before the fork, and neither reads it. */
/* finds: nothing */
#include "both.h"

#include <sys/file.h>

static void lock_once(int file) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  must(fcntl(file, F_SETLKW, &lock) == 0);
  lock.l_type = F_UNLCK;
  must(fcntl(file, F_SETLK, &lock) == 0);
  must(flock(file, LOCK_EX) == 0 && flock(file, LOCK_UN) == 0);
}

int main(void) {
  return use_in_both(lock_once, make_file());
}
