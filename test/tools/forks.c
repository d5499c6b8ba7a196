/* SPDX-License-Identifier: MIT */
/* What the tests of the command have watched: forks.c WHAT [ARGUMENT]. */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int collect(pid_t pid) {
  int status = 0;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static int fork_quietly(void) {
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  return collect(pid);
}

static void spend(void) {
  struct timespec limit = {0, 20000000};
  nanosleep(&limit, NULL);
}

static int slow_handler(void) {
  pthread_atfork(spend, NULL, NULL);
  return fork_quietly();
}

static void on_signal(int signal) {
  (void)signal;
  fork_quietly();
}

static int in_signal(void) {
  signal(SIGUSR1, on_signal);
  return raise(SIGUSR1);
}

static void nothing(void) {
}

static void *run_thread(void *unused) {
  return unused;
}

/* What no function may do after a fork with threads. */
static _Noreturn void go_on(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, run_thread, NULL);
  pthread_join(thread, NULL);
  _exit(0);
}

static int missed_handler(void) {
  pthread_atfork(NULL, NULL, nothing);
  pid_t pid = _Fork();
  if (pid == 0) go_on();
  return collect(pid);
}

/* The child only executes another program. */
static int bypassing_exec(void) {
  pthread_atfork(NULL, NULL, nothing);
  pid_t pid = _Fork();
  if (pid == 0) execl("/bin/true", "true", NULL);
  return collect(pid);
}

__attribute__((visibility("default"))) void register_child_handler(void (*handler)(void));
void register_child_handler(void (*handler)(void)) {
  pthread_atfork(NULL, NULL, handler);
}

static int unloaded_handler(const char *plugin) {
  void *object = dlopen(plugin, RTLD_NOW);
  if (object == NULL) return puts(dlerror());
  dlclose(object);
  fork_quietly();
  return 0;
}

#ifdef __x86_64__
static void begin_on_stack(void) {
  _exit(0);
}

/* The child returns from the system call on a stack of its own, which says where to. */
static int own_stack(void) {
  static uintptr_t stack[4096] __attribute__((aligned(16)));
  uintptr_t *top = &stack[4094];
  *top = (uintptr_t)begin_on_stack;
  return collect((pid_t)syscall(SYS_clone, CLONE_VM | SIGCHLD, top, NULL, NULL, NULL));
}
#else
#define own_stack fork_quietly
#endif

/* Says that it runs, and waits for a signal. */
static _Noreturn void wait_for_signal(void) {
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "fork") == 0) return fork_quietly();
  if (strcmp(what, "slow-handler") == 0) return slow_handler();
  if (strcmp(what, "signal-fork") == 0) return in_signal();
  if (strcmp(what, "missed-handler") == 0) return missed_handler();
  if (strcmp(what, "bypassing-exec") == 0) return bypassing_exec();
  if (strcmp(what, "unloaded-handler") == 0) return unloaded_handler(argv[2]);
  if (strcmp(what, "own-stack") == 0) return own_stack();
  if (strcmp(what, "wait") == 0) wait_for_signal();
  return 2;
}
