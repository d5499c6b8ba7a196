/* SPDX-License-Identifier: MIT */
/* A shared object with a copy of the library in it, which a program needs: it is loaded before what is preloaded. */
#include <atfork.h>
#include <unistd.h>

void need_copy(void);

void need_copy(void) {
}

static void child(void *unused) {
  static const char line[] = "hook of the copy\n";
  (void)unused;
  if (write(1, line, sizeof line - 1) < 0) _exit(9);
}

__attribute__((constructor)) static void begin(void) {
  atfork_register(&(struct atfork_hook){.priority = 5, .child = child});
}
