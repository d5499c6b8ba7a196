/* SPDX-License-Identifier: MIT */
/* After ruby-concurrency/concurrent-ruby#500: the child starts a thread of its own, and that one answers. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static bool answer;

static void *answer_late(void *gate) {
  gate_wait(gate);
  pthread_mutex_lock(&lock);
  answer = true;
  pthread_cond_signal(&answered);
  pthread_mutex_unlock(&lock);
  return NULL;
}

int main(void) {
  struct stayer worker;
  stayer_start(&worker, NULL, NULL);
  pid_t child = fork();
  if (child == 0) {
    pthread_t own;
    struct gate gate;
    gate_make(&gate);
    must(pthread_create(&own, NULL, answer_late, &gate) == 0);
    pthread_mutex_lock(&lock);
    gate_open(&gate);
    while (!answer) pthread_cond_wait(&answered, &lock);
    pthread_mutex_unlock(&lock);
    pthread_join(own, NULL);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  return 0;
}
