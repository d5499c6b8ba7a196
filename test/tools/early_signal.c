/* SPDX-License-Identifier: MIT */
/* Preloaded into the command `atfork`: SIGTERM comes when it makes its log, whose path goes to stdout. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int posix_fallocate(int fd, off_t offset, off_t length) {
  char descriptor[64], path[256];
  (void)offset;
  (void)length;
  snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(descriptor, path, sizeof path);
  if (size > 0) printf("%.*s\n", (int)size, path);
  fflush(stdout);
  raise(SIGTERM);
  return 0;
}
