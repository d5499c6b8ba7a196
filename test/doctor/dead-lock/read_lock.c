/* SPDX-License-Identifier: MIT */
/* After Snapchat/KeyDB#386: a reader is lost, and the child wants to write. */
/* finds: dead-lock */
#include "../program.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static void take(void) {
  pthread_rwlock_rdlock(&lock);
}

static void give(void) {
  pthread_rwlock_unlock(&lock);
}

int main(void) {
  struct stayer holder;
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    pthread_rwlock_wrlock(&lock);
    pthread_rwlock_unlock(&lock);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
