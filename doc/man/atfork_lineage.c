/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void print_lineage(void) {
  char lineage[1024];
  if (atfork_lineage(lineage, sizeof lineage) > 0) puts(lineage);
  fflush(stdout);
}

int main(void) {
  print_lineage();
  for (int i = 0; i < 2; i++) {
    pid_t pid = fork();
    if (pid == 0)
      print_lineage();
    else if (waitpid(pid, NULL, 0) != pid)
      return 1;
  }
  return 0;
}

/* prints:
0
0.1
0.1.1
0.2
*/
