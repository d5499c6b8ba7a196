/* SPDX-License-Identifier: MIT */
/*
 * Threads that fork while others register and unregister, for helgrind and drd.
 *
 * races              nothing of it is a race
 * races program      with one between two of the program's threads
 * races callback     with one between two callbacks
 */
#include <atfork.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, ROUNDS = 10 };

static bool races_in_program, races_in_callback;
static int of_program, of_callback;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t start;
static struct atfork_once once = ATFORK_ONCE_INIT;
static int made;

/* Prepared before the mutex is locked, so no two threads' first forks are in an order that the tools see. */
static void note_fork(void *unused) {
  (void)unused;
  if (races_in_callback) of_callback++;
}

static void make(void *unused) {
  (void)unused;
  made++;
}

static bool fork_once(void) {
  int status;
  pid_t pid = fork();
  if (pid == 0) _exit(atfork_generation() == 1 ? 0 : 1);
  return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool round_is_well(void) {
  char lineage[32];
  atfork_id id = atfork_register(&(struct atfork_hook){.name = "round", .prepare = note_fork, .child = note_fork});
  bool is_well = id != 0 && fork_once() && atfork_lineage(lineage, sizeof lineage) == 1;
  atfork_once(&once, make, NULL);
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
  return atfork_unregister(id) == 0 && is_well;
}

static void *rounds(void *unused) {
  (void)unused;
  pthread_barrier_wait(&start);
  if (races_in_program) of_program++;
  for (int i = 0; i < ROUNDS; i++)
    if (!round_is_well()) _exit(1);
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  races_in_program = argc > 1 && strcmp(argv[1], "program") == 0;
  races_in_callback = argc > 1 && strcmp(argv[1], "callback") == 0;
  if (atfork_register_mutex(&mutex, 0) == 0) return 1;
  pthread_barrier_init(&start, NULL, THREADS);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, rounds, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&start);
  return made == 1 ? 0 : 1;
}
