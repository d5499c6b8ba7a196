/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

void standin_start(void) {
}

struct GThread {
  pthread_t thread;
};

GThread *g_thread_new(const char *name, gpointer (*run)(gpointer data), gpointer data) {
  GThread *thread = malloc(sizeof *thread);
  if (thread == NULL || pthread_create(&thread->thread, NULL, run, data) != 0) g_error("no thread %s", name);
  return thread;
}

gpointer g_thread_join(GThread *thread) {
  void *result;
  pthread_join(thread->thread, &result);
  free(thread);
  return result;
}

void g_thread_yield(void) {
  sched_yield();
}

gint64 g_get_monotonic_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}
