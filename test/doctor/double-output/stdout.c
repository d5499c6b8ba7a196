/* SPDX-License-Identifier: MIT */
/* After indigo-dc/oidc-agent#268: a line waits in stdout's buffer at the fork, and both processes print it. */
/* finds: double-output */
#include "../program.h"

int main(void) {
  printf("before the fork\n");
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  return 0;
}
