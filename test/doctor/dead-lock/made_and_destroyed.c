/* SPDX-License-Identifier: MIT */
/* After log4cplus/log4cplus#466: locks of objects come and go at the same addresses, and none is held at the fork. */
/* finds: nothing */
#include "../program.h"

static void use(void) {
  pthread_mutex_t *lock = malloc(sizeof *lock);
  must(lock != NULL);
  pthread_mutex_init(lock, NULL);
  pthread_mutex_lock(lock);
  pthread_mutex_unlock(lock);
  pthread_mutex_destroy(lock);
  free(lock);
}

int main(void) {
  struct stayer user;
  stayer_start(&user, use, use);
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 10; ++i) use();
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&user);
  return 0;
}
