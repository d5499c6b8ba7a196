/* SPDX-License-Identifier: MIT */
/* After grpc/grpc#13873: a thread other than the first forks, and is the child's only one. */
/* finds: nothing */
#include "../program.h"

static void *fork_and_wait(void *unused) {
  fork_once(go_on);
  return unused;
}

int main(void) {
  pthread_t thread;
  must(pthread_create(&thread, NULL, fork_and_wait, NULL) == 0);
  must(pthread_join(thread, NULL) == 0);
  return 0;
}
