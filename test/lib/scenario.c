/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "patience.h"
#include "raw_fork.h"

static int count;
int scenario_data = 42;

int scenario_fork(const char *way) {
  pid_t pid;
  if (strcmp(way, "fork") == 0)
    pid = fork();
  else if (strcmp(way, "_Fork") == 0)
    pid = _Fork();
  else if (strcmp(way, "syscall") == 0)
    pid = raw_fork();
  else if (strcmp(way, "clone") == 0)
    pid = raw_clone();
  else
    pid = -2;
  if (pid == 0) {
    signal(SIGALRM, SIG_DFL); /* Ruby's handler needs a thread that may never run */
    alarm(patience());
  }
  return pid;
}

int scenario_fork_and_tell(const char *way, void (*in_child)(void)) {
  int pid = scenario_fork(way);
  if (pid == 0) in_child();
  return pid;
}

int scenario_wait(int pid) {
  int status;
  pid_t ended;
  do ended = waitpid(pid, &status, 0);
  while (ended < 0 && errno == EINTR);
  if (ended < 0) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void scenario_exit(int status) {
  _exit(status);
}

static void *fork_and_wait(void *way) {
  int pid = scenario_fork(way);
  if (pid == 0) _exit(42);
  return (void *)(intptr_t)scenario_wait(pid);
}

int scenario_fork_in_thread(const char *way) {
  pthread_t thread;
  void *status;
  char copy[16] = "";
  strncat(copy, way, sizeof copy - 1);
  if (pthread_create(&thread, NULL, fork_and_wait, copy) != 0) return -1;
  pthread_join(thread, &status);
  return (int)(intptr_t)status;
}

int scenario_counted_by_fork(void) {
  int before = count;
  return scenario_fork_in_thread("fork") == 42 ? count - before : -1;
}

static void fork_and_exit(void) {
  int before = count;
  int pid = scenario_fork("fork");
  if (pid == 0) _exit(count == before + 1 ? 42 : 1);
  _exit(scenario_wait(pid));
}

int scenario_fork_at_exit(void) {
  return atexit(fork_and_exit);
}

int scenario_spawn(void) {
  static char shell[] = "sh", option[] = "-c", command[] = "exit 3";
  char *const argv[] = {shell, option, command, NULL};
  pid_t pid;
  /* vfork() is what is tried. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  pid = vfork();
#pragma GCC diagnostic pop
  if (pid == 0) _exit(5);
  if (scenario_wait(pid) != 5) return 1;
  if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, NULL) != 0) return 2;
  return scenario_wait(pid) == 3 ? 0 : 3;
}

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(offset))
#define UNLESS(number, steps) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, (steps))
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)(error))

/* The filter loads 32 bits: of the flags the lower ones. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
enum { LOW_HALF = 4 };
#else
enum { LOW_HALF = 0 };
#endif

/* Threads may still be made: after a failed fork Ruby 3.3 starts one, and later waits for it without asking whether it
 * did start.  By clone(), as a filter cannot look at the flags of clone3(), which lie in memory. */
int scenario_forbid_forks(int error) {
  struct sock_filter program[] = {
      LOAD(offsetof(struct seccomp_data, nr)),
      UNLESS(SYS_clone3, 1),
      REFUSE(ENOSYS),
#ifdef SYS_fork /* musl's */
      UNLESS(SYS_fork, 1),
      REFUSE(error),
#endif
      UNLESS(SYS_clone, 3),
      LOAD(offsetof(struct seccomp_data, args[CLONE_FLAGS_ARGUMENT]) + LOW_HALF),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
      REFUSE(error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = sizeof program / sizeof program[0], .filter = program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

void scenario_count(void *data) {
  (void)data;
  count++;
}

static int noted = -1;

void scenario_note_number(void *data) {
  noted = data == NULL ? 0 : *(int *)data;
}

void scenario_note_data(void *data) {
  noted = data == NULL ? 0 : 1;
}

void scenario_fork_inside(void *way) {
  static bool is_inside;
  if (is_inside) return;
  is_inside = true;
  int pid = scenario_fork(way);
  if (pid == 0) return;
  noted = scenario_wait(pid);
  is_inside = false;
}

int scenario_noted(void) {
  return noted;
}

int scenario_counted(void) {
  return count;
}

int scenario_resident(void) {
  char line[128];
  int size = -1;
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  if (file == NULL) return -1;
  while (size < 0 && fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "Anonymous: %d", &size) != 1) size = -1;
  fclose(file);
  return size;
}
