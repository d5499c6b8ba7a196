/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_TEST_DOCTOR_DRAW_H
#define ATFORK_TEST_DOCTOR_DRAW_H

#include "../program.h"

/* Prints what is drawn in a child, and then in the parent. */
static inline int draw_in_both(void (*print)(const char *who)) {
  pid_t child = fork();
  if (child == 0) {
    print("child");
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  print("parent");
  return 0;
}

#endif
