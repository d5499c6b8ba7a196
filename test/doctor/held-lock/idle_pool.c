/* SPDX-License-Identifier: MIT */
/* After apache/arrow#12329: the threads of a pool wait for work, which releases the mutex of the condition variable. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static unsigned idle;
static bool over;

static void *worker(void *unused) {
  pthread_mutex_lock(&lock);
  ++idle;
  while (!over) pthread_cond_wait(&work, &lock);
  pthread_mutex_unlock(&lock);
  return unused;
}

static bool all_idle(unsigned count) {
  pthread_mutex_lock(&lock);
  bool result = idle == count;
  pthread_mutex_unlock(&lock);
  return result;
}

int main(void) {
  pthread_t threads[2];
  for (int i = 0; i < 2; ++i) must(pthread_create(&threads[i], NULL, worker, NULL) == 0);
  while (!all_idle(2)) sched_yield();
  fork_once(go_on);
  pthread_mutex_lock(&lock);
  over = true;
  pthread_cond_broadcast(&work);
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
  return 0;
}
