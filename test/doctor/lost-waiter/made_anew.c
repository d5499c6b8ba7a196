/* SPDX-License-Identifier: MIT */
/* After Feh/nocache#34: the child makes the condition variable anew before it is used. */
/* finds: nothing */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static bool waits, over;

static void *worker(void *unused) {
  pthread_mutex_lock(&lock);
  waits = true;
  while (!over) pthread_cond_wait(&work, &lock);
  pthread_mutex_unlock(&lock);
  return unused;
}

/* It has the mutex only while the worker waits. */
static void wait_for_worker(void) {
  pthread_mutex_lock(&lock);
  while (!waits) {
    pthread_mutex_unlock(&lock);
    sched_yield();
    pthread_mutex_lock(&lock);
  }
  pthread_mutex_unlock(&lock);
}

static void end(pthread_t thread) {
  pthread_mutex_lock(&lock);
  over = true;
  pthread_cond_signal(&work);
  pthread_mutex_unlock(&lock);
  pthread_join(thread, NULL);
}

static void make_anew(void) {
  pthread_cond_init(&work, NULL);
}

int main(void) {
  pthread_t thread;
  must(pthread_atfork(NULL, NULL, make_anew) == 0);
  must(pthread_create(&thread, NULL, worker, NULL) == 0);
  wait_for_worker();
  pid_t child = fork();
  if (child == 0) {
    pthread_mutex_lock(&lock);
    pthread_cond_signal(&work);
    pthread_mutex_unlock(&lock);
    go_on();
    _exit(0);
  }
  wait_for(child);
  end(thread);
  return 0;
}
