/* SPDX-License-Identifier: MIT */
/* After cesanta/mongoose#1302: a server's listening socket goes into the program that it starts. */
/* finds: leaked-descriptor */
#include "../program.h"

int main(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  must(listener != -1 && listen(listener, 1) == 0);
  pid_t child = fork();
  if (child == 0) {
    execl("/bin/true", "true", (char *)NULL);
    _exit(BROKEN);
  }
  wait_for(child);
  return 0;
}
