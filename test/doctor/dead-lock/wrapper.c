/* SPDX-License-Identifier: MIT */
/* After jemalloc/jemalloc#2019: the lock is in an object on the heap, and taken through its methods. */
/* finds: dead-lock */
#include "../program.h"

struct mutex {
  void (*lock)(struct mutex *);
  void (*unlock)(struct mutex *);
  pthread_mutex_t inner;
};

static void mutex_lock(struct mutex *mutex) {
  pthread_mutex_lock(&mutex->inner);
}

static void mutex_unlock(struct mutex *mutex) {
  pthread_mutex_unlock(&mutex->inner);
}

static struct mutex *pool;

static void take(void) {
  pool->lock(pool);
}

static void give(void) {
  pool->unlock(pool);
}

int main(void) {
  struct stayer holder;
  must((pool = malloc(sizeof *pool)) != NULL);
  *pool = (struct mutex){mutex_lock, mutex_unlock, PTHREAD_MUTEX_INITIALIZER};
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    pool->lock(pool);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  free(pool);
  return 0;
}
