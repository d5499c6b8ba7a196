/* SPDX-License-Identifier: MIT */
/* After log4cplus/log4cplus#466: nobody waits as the process forks; the child signals, and destroys. */
/* finds: nothing */
#include "../program.h"

static pthread_cond_t work = PTHREAD_COND_INITIALIZER;

int main(void) {
  struct stayer other;
  stayer_start(&other, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    pthread_cond_broadcast(&work);
    pthread_cond_destroy(&work);
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&other);
  return 0;
}
