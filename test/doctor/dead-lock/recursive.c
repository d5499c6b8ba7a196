/* SPDX-License-Identifier: MIT */
/* After greenbone/openvas-scanner#491: the mutex of the log is a recursive one, held twice. */
/* finds: dead-lock */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static void take(void) {
  pthread_mutex_lock(&lock);
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
  pthread_mutex_unlock(&lock);
}

int main(void) {
  struct stayer holder;
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
