/* SPDX-License-Identifier: MIT */
/* After rust-lang/futures-rs#649: the child waits for the answer of a thread that is lost. */
/* finds: endless-wait */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static bool answer;

int main(void) {
  struct stayer worker;
  stayer_start(&worker, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    pthread_mutex_lock(&lock);
    while (!answer) pthread_cond_wait(&answered, &lock);
    pthread_mutex_unlock(&lock);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  return 0;
}
