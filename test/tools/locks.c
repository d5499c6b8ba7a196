/* SPDX-License-Identifier: MIT */
/* What the tests of locks have watched: locks.c WHAT. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "patience.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static mtx_t c11;
static unsigned waiting;

/* ---- A thread that does something, and then stays ---- */

static sem_t stays, leaves;

static void *stay(void *data) {
  void (*act)(void);
  memcpy(&act, &data, sizeof act);
  act();
  sem_post(&stays);
  while (sem_wait(&leaves) != 0) continue;
  return NULL;
}

static pthread_t with_thread(void (*act)(void)) {
  pthread_t thread;
  void *data;
  memcpy(&data, &act, sizeof data);
  if (pthread_create(&thread, NULL, stay, data) != 0) abort();
  pthread_setname_np(thread, "holder");
  while (sem_wait(&stays) != 0) continue;
  return thread;
}

static int await(pid_t pid) {
  int status;
  if (pid <= 0 || waitpid(pid, &status, 0) != pid) return 99;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What the child does; its status is ours. */
static int in_child(void (*hold)(void), void (*act)(void)) {
  with_thread(hold);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(patience() / 3);
    act();
    _exit(0);
  }
  return await(pid);
}

/* ---- Locks ---- */

static void take_the_lock(void) {
  pthread_mutex_lock(&lock);
}

static void wait_for_the_lock(void) {
  pthread_mutex_lock(&lock);
}

static void try_for_a_while(void) {
  struct timespec limit;
  clock_gettime(CLOCK_REALTIME, &limit);
  limit.tv_nsec += limit.tv_nsec < 900000000 ? 50000000 : -850000000;
  for (int i = 0; i < 3; i++)
    if (pthread_mutex_timedlock(&lock, &limit) != ETIMEDOUT) _exit(1);
  _exit(42);
}

/* It calls printf() before the lock is made anew, so its parent's holder was told of. */
static void make_anew_later(void) {
  static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  printf("%d\n", (int)getpid());
  lock = fresh;
  pthread_mutex_lock(&lock);
  pthread_mutex_unlock(&lock);
}

static void go_on(void) {
  printf("%d\n", (int)getpid());
  fflush(stdout);
}

static void take_c11(void) {
  mtx_lock(&c11);
}

/* And then more semaphores than the table has room for. */
static void take_before_many(void) {
  static sem_t semaphores[100];
  pthread_mutex_lock(&lock);
  for (int i = 0; i < 100; i++) {
    sem_init(&semaphores[i], 0, 1);
    sem_wait(&semaphores[i]);
  }
}

static void take_second(pthread_mutex_t *second) {
  pthread_mutex_lock(second);
}

/* The first of two is given back first. */
static void take_and_give(void) {
  static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  take_second(&second);
  pthread_mutex_unlock(&lock);
}

static void nothing(void) {
}

static void write_table(void) {
  pthread_rwlock_wrlock(&table);
}

static void read_table(void) {
  pthread_rwlock_rdlock(&table);
}

/* ---- A recursive mutex that the thread which forks has: in the child it is another thread's ---- */

static int own_recursive(void) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&lock, &attributes);
  with_thread(nothing);
  pthread_mutex_lock(&lock);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(patience() / 3);
    pthread_mutex_lock(&lock);
    _exit(0);
  }
  return await(pid);
}

/* ---- Condition variables ---- */

static void *wait_for_condition(void *unused) {
  pthread_mutex_lock(&lock);
  waiting++;
  for (;;) pthread_cond_wait(&condition, &lock);
  return unused;
}

/* The second signal would wait for those of the first to leave. */
static int signal_twice(void) {
  pthread_t thread;
  unsigned there = 0;
  if (pthread_create(&thread, NULL, wait_for_condition, NULL) != 0) return 99;
  while (there == 0) {
    pthread_mutex_lock(&lock);
    there = waiting;
    pthread_mutex_unlock(&lock);
  }
  pid_t pid = fork();
  if (pid == 0) {
    alarm(patience() / 3);
    for (int i = 0; i < 3; i++) pthread_cond_signal(&condition);
    pthread_cond_destroy(&condition);
    _exit(0);
  }
  return await(pid);
}

/* ---- What hangs inside a library ---- */

static FILE *stream;

static void take_stream(void) {
  flockfile(stream);
}

/* A raw _Fork() makes no stream's lock anew, and the C library takes it past us. */
static int hang_in_library(void) {
  stream = fopen("/dev/zero", "re");
  if (stream == NULL) return 99;
  with_thread(take_stream);
  pid_t pid = _Fork();
  if (pid == 0) {
    alarm(patience() / 3);
    fgetc(stream);
    _exit(0);
  }
  _exit(await(pid)); /* at exit() the C library, since 2.41, waits for the stream, too */
}

/* ---- For explore ---- */

static pthread_mutex_t cache = PTHREAD_MUTEX_INITIALIZER, guarded = PTHREAD_MUTEX_INITIALIZER;

void use_cache(void);
void use_cache(void) {
  pthread_mutex_lock(&cache);
  pthread_mutex_unlock(&cache);
}

static void take_guarded(void) {
  pthread_mutex_lock(&guarded);
}

static void give_guarded(void) {
  pthread_mutex_unlock(&guarded);
}

void use_guarded(void);
void use_guarded(void) {
  take_guarded();
  give_guarded();
}

/* In a futex of the C library's own: it waits for itself. */
void hang(void);
void hang(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, hang);
}

void crash(void);
void crash(void) {
  abort();
}

/* Two ways to one line are one fault. */
static void use_cache_otherwise(void) {
  use_cache();
}

static int explored(void) {
  pthread_atfork(take_guarded, give_guarded, give_guarded);
  for (int i = 0; i < 5; i++) {
    i < 3 ? use_cache() : use_cache_otherwise();
    use_guarded();
  }
  return 0;
}

static void *wait_for_any(void *result) {
  int status = 0;
  *(pid_t *)result = wait(&status);
  return NULL;
}

/* A thread waits for any child, while probes come and go. */
static int waits(void) {
  int ends[2];
  char byte;
  pthread_t waiter;
  pid_t result = 0;
  if (pipe(ends) != 0) return 99;
  pid_t pid = fork();
  if (pid == 0) _exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
  if (pthread_create(&waiter, NULL, wait_for_any, &result) != 0) return 99;
  for (int i = 0; i < 5; i++) use_cache();
  if (write(ends[1], "", 1) != 1) return 99;
  pthread_join(waiter, NULL);
  return result == pid ? 0 : 1;
}

/* ---- */

static int stay_c11(void *unused) {
  (void)unused;
  take_c11();
  mtx_unlock(&c11);
  sem_post(&stays);
  while (sem_wait(&leaves) != 0) continue;
  return 0;
}

/* Of its threads one runs still at the fork, or none. */
static int has_thread_of_c11(bool stays_on) {
  thrd_t thread;
  if (thrd_create(&thread, stay_c11, NULL) != thrd_success) return 99;
  while (sem_wait(&stays) != 0) continue;
  if (!stays_on) sem_post(&leaves);
  if (!stays_on && thrd_join(thread, NULL) != thrd_success) return 99;
  pid_t pid = fork();
  if (pid == 0) {
    go_on();
    _exit(0);
  }
  return await(pid);
}

static int main_of(const char *what) {
  if (strcmp(what, "holder") == 0) return in_child(take_the_lock, wait_for_the_lock);
  if (strcmp(what, "timed") == 0) return in_child(take_the_lock, try_for_a_while);
  if (strcmp(what, "made-anew") == 0) return in_child(take_the_lock, make_anew_later);
  if (strcmp(what, "held") == 0) return in_child(take_the_lock, go_on);
  if (strcmp(what, "c11") == 0) return in_child(take_c11, take_c11);
  if (strcmp(what, "c11-stays") == 0) return has_thread_of_c11(true);
  if (strcmp(what, "c11-joined") == 0) return has_thread_of_c11(false);
  if (strcmp(what, "many") == 0) return in_child(take_before_many, wait_for_the_lock);
  if (strcmp(what, "out-of-order") == 0) return in_child(take_and_give, go_on);
  if (strcmp(what, "reader") == 0) return in_child(read_table, write_table);
  if (strcmp(what, "recursive") == 0) return own_recursive();
  if (strcmp(what, "signal-twice") == 0) return signal_twice();
  if (strcmp(what, "library") == 0) return hang_in_library();
  if (strcmp(what, "explored") == 0) return explored();
  if (strcmp(what, "waits") == 0) return waits();
  return 99;
}

int main(int argc, char **argv) {
  sem_init(&stays, 0, 0);
  sem_init(&leaves, 0, 0);
  mtx_init(&c11, mtx_plain);
  return argc == 2 ? main_of(argv[1]) : 99;
}
