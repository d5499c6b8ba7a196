/* SPDX-License-Identifier: MIT */
/* After sisshiki1969/monoruby#1358: the child takes no lock, but its own child does. */
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
  struct stayer holder;
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    pid_t grandchild = fork();
    if (grandchild == 0) {
      alarm(HANGS);
      pthread_mutex_lock(&lock);
      _exit(0);
    }
    wait_for(grandchild);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
