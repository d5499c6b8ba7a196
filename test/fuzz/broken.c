/* SPDX-License-Identifier: MIT */
/* Linked into the fuzzer: a library whose atfork_poll() counts wrong where nothing was missed, two forks
 * deep.  Each process of a program polls at its end. */
#include <atfork.h>

int __real_atfork_poll(void);
int __wrap_atfork_poll(void);
int __wrap_atfork_poll(void) {
  enum { DEPTH = 3 }; /* a program's first process is the fuzzer's child */
  int ran = __real_atfork_poll();
  return ran == 0 && atfork_generation() == DEPTH ? 1 : ran;
}
