/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_TEST_DOCTOR_BOTH_H
#define ATFORK_TEST_DOCTOR_BOTH_H

#include "../program.h"

/* Uses the descriptor in a child, and then in the parent. */
static inline int use_in_both(void (*use)(int), int descriptor) {
  pid_t child = fork();
  if (child == 0) {
    use(descriptor);
    _exit(0);
  }
  wait_for(child);
  use(descriptor);
  return 0;
}

static inline void take_events(int descriptor) {
  char events[256];
  must(read(descriptor, events, sizeof events) > 0 || errno == EAGAIN);
}

/* Three lines, and no name. */
static inline int make_file(void) {
  char path[] = "/tmp/doctor-XXXXXX";
  int file = mkostemp(path, O_CLOEXEC);
  must(file != -1 && write(file, "one\ntwo\nsix\n", 12) == 12 && lseek(file, 0, SEEK_SET) == 0);
  unlink(path);
  return file;
}

static inline char read_line(int file) {
  char line[4];
  must(read(file, line, sizeof line) == sizeof line);
  return line[0];
}

#endif
