/* SPDX-License-Identifier: MIT */
#include "limit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static bool fails;

bool limit_forks(bool fail) {
  bool before = fails;
  if (fail == before) return before;
  int error = errno;
  struct rlimit limit;
  getrlimit(RLIMIT_NPROC, &limit);
  limit.rlim_cur = fail ? 0 : limit.rlim_max;
  if (setrlimit(RLIMIT_NPROC, &limit) != 0) abort();
  fails = fail;
  errno = error;
  return before;
}

/* Dumpable again, as /proc/self/fd is root's otherwise. */
void limit_rights(void) {
  enum { NOBODY = 65534 };
  if (geteuid() != 0) return;
  if (setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0 &&
      prctl(PR_SET_DUMPABLE, 1) == 0)
    return;
  perror("fuzz: cannot give up root's rights");
  exit(2);
}
