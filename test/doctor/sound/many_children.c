/* SPDX-License-Identifier: MIT */
/* After sociomantic-tsunami/ocean#315: twenty children live side by side. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  pid_t children[20];
  for (int i = 0; i < 20; ++i) {
    children[i] = fork();
    if (children[i] == 0) {
      go_on();
      _exit(i);
    }
  }
  for (int i = 0; i < 20; ++i) must(WEXITSTATUS(wait_for(children[i])) == i);
  return 0;
}
