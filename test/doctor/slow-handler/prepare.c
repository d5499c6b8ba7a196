/* SPDX-License-Identifier: MIT */
/* After grpc/grpc#15851: a prepare handler waits until other threads have ended what they do. */
/* finds: slow-handler */
#include "../program.h"

static void wait_for_threads(void) {
  nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
}

int main(void) {
  must(pthread_atfork(wait_for_threads, NULL, NULL) == 0);
  pid_t child = fork();
  if (child == 0) _exit(0);
  wait_for(child);
  return 0;
}
