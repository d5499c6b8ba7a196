/* SPDX-License-Identifier: MIT */
/* After jemalloc/jemalloc#1641: a child handler works for a long time. */
/* finds: slow-handler */
#include "../program.h"

static void rebuild(void) {
  clock_t end = clock() + CLOCKS_PER_SEC / 4;
  while (clock() < end) continue;
}

int main(void) {
  must(pthread_atfork(NULL, NULL, rebuild) == 0);
  pid_t child = fork();
  if (child == 0) _exit(0);
  wait_for(child);
  return 0;
}
