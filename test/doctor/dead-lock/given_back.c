/* SPDX-License-Identifier: MIT */
/* After OpenMathLib/OpenBLAS#660: the thread has given the lock back, and lives on. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void use(void) {
  pthread_mutex_lock(&lock);
  pthread_mutex_unlock(&lock);
}

int main(void) {
  struct stayer user;
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
