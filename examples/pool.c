/* SPDX-License-Identifier: MIT */
/*
 * A prefork pool of workers.  Each worker draws from a buffered random generator, which the kernel seeds, and locks the
 * mutex of the log.  Another thread of the parent uses this mutex, too, and holds it whenever a worker is forked.
 *
 *   pool plain    without libatfork: all workers draw the same numbers, and hang at the mutex
 *   pool atfork   with libatfork: three lines, marked 1 to 3 below
 */
#define _GNU_SOURCE
#include <atfork.h> /* 1 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 3, DRAWS = 3, BUFFER = 64, PATIENCE = 1000 /* ms */ };

/* ---- A buffered generator: one system call for 64 numbers ---- */

static struct {
  uint16_t numbers[BUFFER];
  size_t left;
} generator;

static uint16_t draw(void) {
  if (generator.left == 0) {
    if (getrandom(generator.numbers, sizeof generator.numbers, 0) != sizeof generator.numbers) abort();
    generator.left = BUFFER;
  }
  return generator.numbers[--generator.left];
}

static void discard(void *unused) {
  (void)unused;
  generator.left = 0;
}

/* ---- A log, and a thread that is busy with it ---- */

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t is_inside, is_forking;
static _Atomic bool stop;

static void *keep_busy(void *unused) {
  while (!stop) {
    pthread_mutex_lock(&log_mutex);
    sem_post(&is_inside);
    sem_wait(&is_forking);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* a slow disk */
    pthread_mutex_unlock(&log_mutex);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return unused;
}

/* ---- Workers ---- */

static int hooks_run;

static void count(void *unused) {
  (void)unused;
  hooks_run++;
}

static void show_process(const char *name) {
  char lineage[64];
  atfork_lineage(lineage, sizeof lineage);
  printf("row\tC\t%s\t%" PRIu64 "\t%s\t%016" PRIx64 "\t%d\n", name, atfork_generation(), lineage, atfork_seed(42),
         hooks_run);
}

static void work(int number, bool cured) {
  char name[16];
  snprintf(name, sizeof name, "worker %d", number);
  printf("  %s draws", name);
  for (int i = 0; i < DRAWS; i++) printf(" %5u", draw());
  printf("\n");
  if (cured) show_process(name);
  fflush(stdout);
  pthread_mutex_lock(&log_mutex);
  pthread_mutex_unlock(&log_mutex);
  _exit(0);
}

/* The worker's end of the pipe closes when the worker ends.  PATIENCE bounds the wait for one that may hang. */
static bool ends_in_time(int pipe_end, bool may_hang) {
  struct pollfd end = {.fd = pipe_end, .events = 0};
  return poll(&end, 1, may_hang ? PATIENCE : -1) == 1;
}

static void start_worker(int number, bool cured) {
  int ends[2];
  if (pipe(ends) != 0) abort();
  sem_wait(&is_inside);
  sem_post(&is_forking);
  pid_t pid = fork();
  if (pid < 0) abort();
  if (pid == 0) work(number, cured);
  close(ends[1]);
  if (ends_in_time(ends[0], !cured)) {
    printf("  worker %d is done\n", number);
  } else {
    printf("  worker %d hangs at the mutex; ended after %d ms\n", number, PATIENCE);
    kill(pid, SIGKILL);
  }
  fflush(stdout);
  close(ends[0]);
  waitpid(pid, NULL, 0);
}

int main(int argc, char **argv) {
  bool cured = argc == 2 && strcmp(argv[1], "atfork") == 0;
  if (argc != 2 || (!cured && strcmp(argv[1], "plain") != 0)) {
    fprintf(stderr, "usage: %s plain|atfork\n", argv[0]);
    return 2;
  }
  if (cured) {
    if (atfork_register_after_fork(discard, NULL) == 0) abort(); /* 2 */
    if (atfork_register_mutex(&log_mutex, 0) == 0) abort();      /* 3 */
    if (atfork_register_after_fork(count, NULL) == 0) abort();   /* for the table */
  }
  draw();
  pthread_t thread;
  sem_init(&is_inside, 0, 0);
  sem_init(&is_forking, 0, 0);
  if (cured) show_process("parent");
  fflush(stdout);
  pthread_create(&thread, NULL, keep_busy, NULL);
  for (int i = 1; i <= WORKERS; i++) start_worker(i, cured);
  stop = true;
  sem_post(&is_forking);
  pthread_join(thread, NULL);
  return 0;
}
