/* SPDX-License-Identifier: MIT */
#include "mutexes.h"

#include <errno.h>

const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};
pthread_mutex_t mutex;
struct gate ready;
static int type;

void make_mutex(int its_type) {
  pthread_mutexattr_t attributes;
  type = its_type;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  pthread_mutex_init(&mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

static void *try_to_lock(void *error) {
  *(int *)error = pthread_mutex_trylock(&mutex);
  if (*(int *)error == 0) pthread_mutex_unlock(&mutex);
  return NULL;
}

int locked_by_another(void) {
  pthread_t thread;
  int error = -1;
  child_check_int(pthread_create(&thread, NULL, try_to_lock, &error), ==, 0);
  child_check_int(pthread_join(thread, NULL), ==, 0);
  return error;
}

void is_usable(void) {
  child_check_int(locked_by_another(), ==, 0);
  child_check_int(pthread_mutex_lock(&mutex), ==, 0);
  child_check_int(pthread_mutex_trylock(&mutex), ==, type == PTHREAD_MUTEX_RECURSIVE ? 0 : EBUSY);
  if (type == PTHREAD_MUTEX_RECURSIVE) child_check_int(pthread_mutex_unlock(&mutex), ==, 0);
  child_check_int(locked_by_another(), ==, EBUSY);
  child_check_int(pthread_mutex_unlock(&mutex), ==, 0);
  if (type != PTHREAD_MUTEX_NORMAL) child_check_int(pthread_mutex_unlock(&mutex), ==, EPERM);
}

void start(void *(*body)(void *)) {
  pthread_t thread;
  gate_make(&ready);
  child_check_int(pthread_create(&thread, NULL, body, NULL), ==, 0);
  gate_wait(&ready);
}
