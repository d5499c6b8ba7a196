/* SPDX-License-Identifier: MIT */
/* After FEX-Emu/FEX#2739: the owner of a robust mutex is lost, not dead, and the child is not told so. */
/* finds: dead-lock, note lost-thread */
#include "../program.h"

static pthread_mutex_t mutex;

static void take(void) {
  must(pthread_mutex_lock(&mutex) == 0);
}

static void give_back(void) {
  must(pthread_mutex_unlock(&mutex) == 0);
}

int main(void) {
  struct stayer holder;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  must(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  must(pthread_mutex_init(&mutex, &attributes) == 0);
  stayer_start(&holder, take, give_back);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    take();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
