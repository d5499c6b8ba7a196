/* SPDX-License-Identifier: MIT */
/* After libusb/hidapi#446: all is opened with O_CLOEXEC, or gets FD_CLOEXEC. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  int ends[2];
  must(listener != -1 && null != -1 && pipe(ends) == 0);
  for (int i = 0; i < 2; ++i) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  fork_once(become_true);
  return 0;
}
