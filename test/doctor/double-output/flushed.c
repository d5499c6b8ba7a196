/* SPDX-License-Identifier: MIT */
/* After SerenityOS/serenity#26797: all is flushed before the fork. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  printf("before the fork\n");
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    printf("child\n");
    exit(0);
  }
  wait_for(child);
  printf("parent\n");
  return 0;
}
