/* SPDX-License-Identifier: MIT */
/* After cesanta/mongoose#1302: a server's listening socket goes into the program that it starts. */
/* finds: leaked-descriptor */
#include "../program.h"

int main(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  must(listener != -1 && listen(listener, 1) == 0);
  fork_once(become_true);
  return 0;
}
