/* SPDX-License-Identifier: MIT */
/* After systemd/systemd#28123: nobody has registered a fork handler, so none is missed. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  pid_t child = _Fork();
  if (child == 0) {
    go_on();
    _exit(0);
  }
  wait_for(child);
  return 0;
}
