/* SPDX-License-Identifier: MIT */
/* After DataDog/dd-trace-php#3058: the child finds the mutex locked, and does without what it guards. */
/* finds: held-lock */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void) {
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
}

int main(void) {
  struct stayer holder;
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    must(pthread_mutex_trylock(&lock) == EBUSY);
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
