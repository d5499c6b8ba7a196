/* SPDX-License-Identifier: MIT */
/* After kenz-gelsoft/gecko-dev#46: the child waits for a lost thread, but no longer than it must. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;

int main(void) {
  struct stayer worker;
  stayer_start(&worker, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec = 0;
    ++limit.tv_sec;
    pthread_mutex_lock(&lock);
    while (pthread_cond_timedwait(&answered, &lock, &limit) != ETIMEDOUT) continue;
    pthread_mutex_unlock(&lock);
    go_on();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  return 0;
}
