/* SPDX-License-Identifier: MIT */
/* After thesharp/daemonize#43: the two forks of a daemon; the parents end by _exit(). */
/* finds: nothing */
#include "../program.h"

int main(void) {
  struct gate ready;
  gate_make(&ready);
  pid_t child = fork();
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    must(chdir("/") == 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    must(null != -1 && dup2(null, STDIN_FILENO) == STDIN_FILENO);
    gate_open(&ready);
    _exit(0);
  }
  wait_for(child);
  gate_wait(&ready);
  return 0;
}
