/* SPDX-License-Identifier: MIT */
/* A C-side hook: for each new process, it appends one byte to the file that COUNTER_FILE names. */
#define _GNU_SOURCE /* O_CLOEXEC */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void counter_after_fork(void *unused);

void counter_after_fork(void *unused) {
  (void)unused;
  const char *path = getenv("COUNTER_FILE");
  int file = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return;
  if (write(file, "+", 1) != 1) abort();
  close(file);
}
