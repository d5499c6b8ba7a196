/* SPDX-License-Identifier: MIT */
/* After grpc/grpc#15851: the threads end before the fork, and are started again behind it. */
/* finds: nothing */
#include "../program.h"

static struct stayer worker;

static void stop(void) {
  stayer_end(&worker);
}

static void start(void) {
  stayer_start(&worker, NULL, NULL);
}

int main(void) {
  must(pthread_atfork(stop, start, start) == 0);
  start();
  pid_t child = fork();
  if (child == 0) {
    go_on();
    stop();
    _exit(0);
  }
  wait_for(child);
  stop();
  return 0;
}
