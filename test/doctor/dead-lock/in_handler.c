/* SPDX-License-Identifier: MIT */
/* After amoffat/sh#607: a child handler logs, and waits inside fork() for the lock of the log. */
/* finds: dead-lock */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void) {
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
}

static void log_the_fork(void) {
  alarm(HANGS);
  pthread_mutex_lock(&lock);
  pthread_mutex_unlock(&lock);
}

int main(void) {
  struct stayer holder;
  must(pthread_atfork(NULL, NULL, log_the_fork) == 0);
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) _exit(0);
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
