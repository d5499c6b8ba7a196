/* SPDX-License-Identifier: MIT */
/*
 * A server with a thread that writes its log, and two workers: what the pictures of tools.md are of.
 *
 * server            forks its workers well
 * server --broken   forks while the thread holds the log's lock, which a worker takes
 * server --hooks    lists the hooks that a fork would run
 */
#include <atfork.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t locked, forked;

/* ---- The thread ---- */

static void *write_log(void *data) {
  prctl(PR_SET_NAME, "log writer");
  pthread_mutex_lock(&log_lock);
  if (data == NULL) pthread_mutex_unlock(&log_lock);
  sem_post(&locked);
  sem_wait(&forked);
  if (data != NULL) pthread_mutex_unlock(&log_lock);
  return NULL;
}

/* ---- What is done about a fork ---- */

static void close_connections(void *data) {
  (void)data;
  usleep(2000);
}

static void open_connections(void *data) {
  (void)data;
  usleep(4000);
}

static void reopen_log(void) {
  usleep(6000);
}

/* ---- Workers ---- */

static void compress(void) {
  const char *const arguments[] = {"sleep", "0.02", NULL};
  pid_t pid;
  if (posix_spawnp(&pid, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments, environ) == 0)
    waitpid(pid, NULL, 0);
}

/* What `atfork explore --probe=work` calls, too. */
void work(void);
void work(void) {
  pthread_mutex_lock(&log_lock);
  compress();
  pthread_mutex_unlock(&log_lock);
}

static void wait_for_work(void) {
  pause();
}

static pid_t start_worker(void (*run)(void)) {
  pid_t pid = fork();
  if (pid == 0) {
    run();
    _exit(0);
  }
  return pid;
}

static void serve(int broken) {
  pthread_t thread;
  static char yes;
  pthread_create(&thread, NULL, write_log, broken ? &yes : NULL);
  sem_wait(&locked);
  pid_t first = start_worker(work);
  pid_t second = broken ? 0 : start_worker(wait_for_work);
  sem_post(&forked);
  pthread_join(thread, NULL);
  waitpid(first, NULL, 0);
  if (second == 0) return;
  kill(second, SIGTERM);
  waitpid(second, NULL, 0);
}

static int show_hook(const struct atfork_info *info, void *unused) {
  (void)unused;
  printf("hook \"%s\", priority %d\n", info->hook.name, info->hook.priority);
  return 0;
}

int main(int argc, char **argv) {
  const char *option = argc > 1 ? argv[1] : "";
  sem_init(&locked, 0, 0);
  sem_init(&forked, 0, 0);
  atfork_register(&(struct atfork_hook){
      .name = "connections",
      .prepare = close_connections,
      .parent = open_connections,
      .child = open_connections,
  });
  pthread_atfork(NULL, NULL, reopen_log);
  if (strcmp(option, "--hooks") == 0) return atfork_foreach(show_hook, NULL);
  serve(strcmp(option, "--broken") == 0);
  return 0;
}
