/* SPDX-License-Identifier: MIT */
/* A shared object whose constructor runs before the C library's (initfirst), and registers a handler. */
#include <pthread.h>
#include <unistd.h>

static void child(void) {
  static const char line[] = "child of the first\n";
  if (write(1, line, sizeof line - 1) < 0) _exit(9);
}

__attribute__((constructor)) static void begin(void) {
  pthread_atfork(NULL, NULL, child);
}
