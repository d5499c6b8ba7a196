/* SPDX-License-Identifier: MIT */
/* After ocaml/ocaml#532: the child registers a handler of its own, and its parent has none. */
/* finds: nothing */
#include "../program.h"

static void clean_up(void) {
  must(write(STDERR_FILENO, "cleaned up\n", 11) == 11);
}

int main(void) {
  pid_t child = fork();
  if (child == 0) {
    must(atexit(clean_up) == 0);
    exit(0);
  }
  wait_for(child);
  return 0;
}
