/* SPDX-License-Identifier: MIT */
/* After Lind-Project/lind-wasm#430: the buffer is that of a pipe to another program, which gets the line twice. */
/* finds: double-output */
#include "../program.h"

int main(void) {
  FILE *program = popen("cat", "we");
  must(program != NULL);
  fprintf(program, "a line\n");
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  pclose(program);
  return 0;
}
