/* SPDX-License-Identifier: MIT */
/* After Feh/nocache#34: the child handler makes the lock anew, before anybody takes it. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void) {
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
}

static void make_anew(void) {
  pthread_mutex_init(&lock, NULL);
}

int main(void) {
  struct stayer holder;
  must(pthread_atfork(NULL, NULL, make_anew) == 0);
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    take();
    give();
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}
