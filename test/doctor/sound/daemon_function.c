/* SPDX-License-Identifier: MIT */
/* After unfs3/unfs3#28: daemon() of the C library. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  fflush(NULL);
  must(daemon(0, 1) == 0);
  go_on();
  return 0;
}
