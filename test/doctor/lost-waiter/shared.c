/* SPDX-License-Identifier: MIT */
/* After krakjoe/pthreads#276: the condition variable is shared, and the child wakes a thread of the parent. */
/* finds: nothing */
#include "../program.h"

struct shared {
  pthread_mutex_t lock;
  pthread_cond_t done;
  bool over;
};

static struct shared *shared;

static void *waiter(void *unused) {
  pthread_mutex_lock(&shared->lock);
  while (!shared->over) pthread_cond_wait(&shared->done, &shared->lock);
  pthread_mutex_unlock(&shared->lock);
  return unused;
}

int main(void) {
  pthread_t thread;
  pthread_mutexattr_t of_lock;
  pthread_condattr_t of_done;
  pthread_mutexattr_init(&of_lock);
  pthread_mutexattr_setpshared(&of_lock, PTHREAD_PROCESS_SHARED);
  pthread_condattr_init(&of_done);
  pthread_condattr_setpshared(&of_done, PTHREAD_PROCESS_SHARED);
  shared = share(sizeof *shared);
  pthread_mutex_init(&shared->lock, &of_lock);
  pthread_cond_init(&shared->done, &of_done);
  must(pthread_create(&thread, NULL, waiter, NULL) == 0);
  pid_t child = fork();
  if (child == 0) {
    pthread_mutex_lock(&shared->lock);
    shared->over = true;
    pthread_cond_signal(&shared->done);
    pthread_mutex_unlock(&shared->lock);
    go_on();
    _exit(0);
  }
  pthread_join(thread, NULL);
  wait_for(child);
  return 0;
}
