/* SPDX-License-Identifier: MIT */
/* After ROCm/rocm-systems#6095: a child that shares its parent's memory waits for a futex, and a thread of the parent
 * wakes it. */
/* finds: nothing */
#include "../program.h"

#include <linux/futex.h>

static _Atomic int word;

static int wait_for_word(void *unused) {
  (void)unused;
  while (word == 0) syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  return 0;
}

int main(void) {
  static _Alignas(16) char stack[1 << 16];
  struct stayer other;
  stayer_start(&other, NULL, NULL);
  pid_t child = clone(wait_for_word, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
  /* Longer than one who looks on is patient. */
  nanosleep(&(struct timespec){.tv_sec = 4}, NULL);
  word = 1;
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  must(wait_for(child) == 0);
  stayer_end(&other);
  return 0;
}
