/* SPDX-License-Identifier: MIT */
/* After gramineproject/graphene#2091: what waits in the buffer are wide characters. */
/* finds: double-output */
#include "../program.h"

#include <wchar.h>

int main(void) {
  wprintf(L"before the fork\n");
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  return 0;
}
