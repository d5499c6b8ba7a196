/* SPDX-License-Identifier: MIT */
/* After daboross/fern#59: the thread that forks has the lock itself, and each side gives it back. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int main(void) {
  struct stayer other;
  stayer_start(&other, NULL, NULL);
  pthread_mutex_lock(&lock);
  pid_t child = fork();
  pthread_mutex_unlock(&lock);
  if (child == 0) {
    pthread_mutex_lock(&lock);
    go_on();
    pthread_mutex_unlock(&lock);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&other);
  return 0;
}
