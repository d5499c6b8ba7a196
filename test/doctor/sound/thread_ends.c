/* SPDX-License-Identifier: MIT */
/* After ocaml/ocaml#7132: the child's only thread, which is not the first, ends, and the process with it. */
/* finds: nothing */
#include "../program.h"

static void *fork_and_wait(void *unused) {
  pid_t child = fork();
  if (child == 0) pthread_exit(NULL);
  wait_for(child);
  return unused;
}

int main(void) {
  pthread_t thread;
  must(pthread_create(&thread, NULL, fork_and_wait, NULL) == 0);
  must(pthread_join(thread, NULL) == 0);
  return 0;
}
