/* SPDX-License-Identifier: MIT */
/* After DynamoRIO/dynamorio#3239: standard output has no buffer, as standard error has none. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  printf("before the fork\n");
  fprintf(stderr, "and here\n");
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  return 0;
}
