/* SPDX-License-Identifier: MIT */
/* After RRZE-HPC/likwid#519: what on_exit() has registered runs in the child, too. */
/* finds: exit-handler */
#include "../program.h"

static void clean_up(int status, void *unused) {
  (void)status, (void)unused;
  must(write(STDERR_FILENO, "cleaned up\n", 11) == 11);
}

int main(void) {
  must(on_exit(clean_up, NULL) == 0);
  pid_t child = fork();
  if (child == 0) {
    go_on();
    exit(0);
  }
  wait_for(child);
  return 0;
}
