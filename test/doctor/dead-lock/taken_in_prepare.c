/* SPDX-License-Identifier: MIT */
/* After microsoft/snmalloc#735: the prepare handler takes the lock, and both sides release it. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void) {
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
}

static void use(void) {
  take();
  give();
}

int main(void) {
  struct stayer user;
  must(pthread_atfork(take, give, give) == 0);
  stayer_start(&user, use, use);
  pid_t child = fork();
  if (child == 0) {
    use();
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&user);
  return 0;
}
