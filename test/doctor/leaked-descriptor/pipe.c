/* SPDX-License-Identifier: MIT */
/* After famzah/popen-noshell#7: the end of one child's pipe goes into the next child, so the first sees no end. */
/* finds: leaked-descriptor */
#include "../program.h"

static int start(int *input) {
  int ends[2];
  must(pipe(ends) == 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    close(ends[1]);
    execl("/bin/true", "true", (char *)NULL);
    _exit(BROKEN);
  }
  close(ends[0]);
  *input = ends[1];
  return child;
}

int main(void) {
  int inputs[2];
  pid_t children[2];
  for (int i = 0; i < 2; ++i) children[i] = start(&inputs[i]);
  for (int i = 0; i < 2; ++i) {
    close(inputs[i]);
    wait_for(children[i]);
  }
  return 0;
}
