/* SPDX-License-Identifier: MIT */
/* After zeromq/libzmq#3223: a thread that the child has started waits for the lock. */
/* finds: dead-lock */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void) {
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
}

int main(void) {
  struct stayer holder, user;
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    stayer_start(&user, take, give);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
