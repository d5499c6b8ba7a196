/* SPDX-License-Identifier: MIT */
/* A worker that waits for work as the process forks. */
#ifndef ATFORK_TEST_DOCTOR_WORKER_H
#define ATFORK_TEST_DOCTOR_WORKER_H

#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static bool waits, over;

static inline void *worker(void *unused) {
  pthread_mutex_lock(&lock);
  waits = true;
  while (!over) pthread_cond_wait(&work, &lock);
  pthread_mutex_unlock(&lock);
  return unused;
}

/* The worker has let go of the mutex, so it waits. */
static inline bool worker_waits(void) {
  pthread_mutex_lock(&lock);
  bool result = waits;
  pthread_mutex_unlock(&lock);
  return result;
}

static inline void wake_worker(void) {
  pthread_mutex_lock(&lock);
  pthread_cond_signal(&work);
  pthread_mutex_unlock(&lock);
  go_on();
}

/* Makes a child that runs this while the worker waits. */
static inline void fork_beside_worker(void (*run)(void)) {
  pthread_t thread;
  must(pthread_create(&thread, NULL, worker, NULL) == 0);
  while (!worker_waits()) sched_yield();
  fork_once(run);
  pthread_mutex_lock(&lock);
  over = true;
  pthread_cond_signal(&work);
  pthread_mutex_unlock(&lock);
  pthread_join(thread, NULL);
}

#endif
