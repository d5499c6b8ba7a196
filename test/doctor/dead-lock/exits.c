/* SPDX-License-Identifier: MIT */
/* After libuv/libuv#1369: a thread has a lock, but the child writes a byte and ends. */
/* finds: nothing */
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
    must(write(STDERR_FILENO, "child\n", 6) == 6);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
