/* SPDX-License-Identifier: MIT */
/*
 * Makes processes in the way that its first argument names, and waits for them.
 *
 * Each child ends with another status than its siblings, so that a test knows them apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "patience.h"

extern char **environ;

static void fail(const char *what) {
  perror(what);
  exit(99);
}

static void await(pid_t pid, int expected) {
  int status;
  if (pid < 0) fail("the child");
  if (waitpid(pid, &status, 0) != pid) fail("waitpid");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != expected) exit(98);
}

/* ---- Ways ---- */

static void way_fork(void) {
  pid_t pid = fork();
  if (pid == 0) _exit(11);
  await(pid, 11);
}

static void way_vfork(void) {
  pid_t pid = vfork();
  if (pid == 0) {
    execl("/bin/sh", "sh", "-c", "exit 12", (char *)NULL);
    _exit(127);
  }
  await(pid, 12);
}

/* Its child says nothing but its end; the next one must not be taken for it. */
static void way_vfork_exit(void) {
  pid_t pid = vfork();
  if (pid == 0) _exit(13);
  await(pid, 13);
  way_vfork();
}

static int spawn(pid_t *pid, const char *path, const char *const *arguments) {
  return posix_spawn(pid, path, NULL, NULL, (char *const *)(uintptr_t)arguments, environ);
}

static void way_posix_spawn(void) {
  pid_t pid;
  if (spawn(&pid, "/bin/sh", (const char *const[]){"sh", "-c", "exit 14", NULL}) != 0) fail("posix_spawn");
  await(pid, 14);
}

static void way_spawn_fails(void) {
  pid_t pid;
  if (spawn(&pid, "/nonexistent", (const char *const[]){"none", NULL}) != ENOENT) exit(98);
}

static void way_system(void) {
  if (WEXITSTATUS(system("exit 15")) != 15) exit(98);
}

static void way_popen(void) {
  FILE *file = popen("exit 16", "r");
  if (file == NULL || WEXITSTATUS(pclose(file)) != 16) exit(98);
}

static void way_daemon(void) {
  int ends[2];
  if (pipe(ends) != 0) fail("pipe");
  pid_t pid = fork();
  if (pid == 0) {
    if (daemon(1, 1) != 0) fail("daemon");
    close(ends[0]);
    _exit(18);
  }
  close(ends[1]);
  await(pid, 0);
  char byte;
  if (read(ends[0], &byte, 1) != 0) exit(98); /* the daemon has ended */
}

static void way_forkpty(void) {
  int terminal;
  pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
  if (pid == 0) _exit(19);
  await(pid, 19);
}

static void way__Fork(void) {
  pid_t pid = _Fork();
  if (pid == 0) _exit(20);
  await(pid, 20);
}

static int child_of_clone(void *data) {
  (void)data;
  _exit(21);
}

static void way_clone(void) {
  static char stack[65536] __attribute__((aligned(16)));
  await(clone(child_of_clone, stack + sizeof stack, SIGCHLD, NULL), 21);
}

static void way_clone_borrowing(void) {
  static char stack[65536] __attribute__((aligned(16)));
  await(clone(child_of_clone, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL), 21);
}

static void way_syscall_fork(void) {
#ifdef SYS_fork
  pid_t pid = (pid_t)syscall(SYS_fork);
#else
  pid_t pid = (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, NULL, NULL, NULL, 0UL);
#endif
  if (pid == 0) _exit(22);
  await(pid, 22);
}

static void way_syscall_clone(void) {
  pid_t pid = (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, NULL, NULL, NULL, 0UL);
  if (pid == 0) _exit(23);
  await(pid, 23);
}

static void way_syscall_clone3(void) {
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) _exit(24);
  await(pid, 24);
}

/* What no function is in front of. */
static pid_t fork_by_instruction(void) {
#if defined __x86_64__
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_fork) : "rcx", "r11", "memory");
  return (pid_t)result;
#else
  register long which __asm__("x8") = SYS_clone;
  register long flags __asm__("x0") = SIGCHLD;
  register long stack __asm__("x1") = 0, third __asm__("x2") = 0, fourth __asm__("x3") = 0, fifth __asm__("x4") = 0;
  __asm__ volatile("svc 0" : "+r"(flags) : "r"(which), "r"(stack), "r"(third), "r"(fourth), "r"(fifth) : "memory");
  return (pid_t)flags;
#endif
}

static void way_instruction(void) {
  pid_t pid = fork_by_instruction();
  if (pid == 0) _exit(25);
  await(pid, 25);
}

/* ---- What goes wrong, and what comes together ---- */

static void way_double_fork(void) {
  int ends[2];
  if (pipe(ends) != 0) fail("pipe");
  pid_t pid = fork();
  if (pid == 0) {
    if (fork() == 0) _exit(27);
    _exit(26);
  }
  close(ends[1]);
  await(pid, 26);
  char byte;
  if (read(ends[0], &byte, 1) != 0) exit(98);
}

/* In a user's id that has as many processes as it may. */
static void way_failed_fork(void) {
  struct rlimit none = {0, 0};
  if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) fail("setresuid");
  if (setrlimit(RLIMIT_NPROC, &none) != 0) fail("setrlimit");
  if (fork() != -1 || errno != EAGAIN) exit(98);
}

enum { THREADS = 4 };

static void *fork_in_thread(void *data) {
  long number = (long)(intptr_t)data;
  char name[16];
  snprintf(name, sizeof name, "forker %ld", number);
  prctl(PR_SET_NAME, name);
  pid_t pid = fork();
  if (pid == 0) _exit(30 + (int)number);
  await(pid, 30 + (int)number);
  return NULL;
}

static void way_threads(void) {
  pthread_t threads[THREADS];
  for (long i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, fork_in_thread, (void *)(intptr_t)i) != 0) fail("pthread_create");
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static int ends_of_idle[2];

static void *idle(void *unused) {
  char byte;
  (void)unused;
  prctl(PR_SET_NAME, "idle");
  return (void *)(intptr_t)read(ends_of_idle[0], &byte, 1);
}

static void way_beside_threads(void) {
  pthread_t threads[THREADS];
  if (pipe(ends_of_idle) != 0) fail("pipe");
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, idle, NULL) != 0) fail("pthread_create");
  way_fork();
  close(ends_of_idle[1]);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void way_execs(void) {
  pid_t pid = fork();
  if (pid == 0) {
    execl("/nonexistent", "none", (char *)NULL);
    execlp("env", "env", "sh", "-c", "exec sh -c 'exit 40'", (char *)NULL);
    _exit(127);
  }
  await(pid, 40);
}

static void way_killed(void) {
  pid_t pid = fork();
  if (pid == 0) {
    raise(SIGKILL);
    _exit(1);
  }
  int status;
  if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) exit(98);
}

/* Where nothing tells this program that the command has looked, as that must not disturb what it watches. */
static void stay(int ms) {
  usleep((useconds_t)(ms * slowness()) * 1000);
}

/* Nobody but the kernel tells of its end. */
static void way_killed_unwaited(void) {
  int ends[2];
  signal(SIGCHLD, SIG_IGN);
  if (pipe(ends) != 0) fail("pipe");
  if (fork() == 0) {
    stay(300); /* the command has to see it while it lives */
    raise(SIGTERM);
    _exit(1);
  }
  close(ends[1]);
  char byte;
  if (read(ends[0], &byte, 1) != 0) exit(98);
}

/* Each is killed wherever it is just then, as a writer of records too. */
static void way_killed_anywhere(void) {
  for (int i = 0; i < 10; i++) {
    int ends[2];
    char bytes[8];
    if (pipe(ends) != 0) fail("pipe");
    pid_t pid = fork();
    if (pid == 0)
      for (;;) {
        if (fork() == 0) _exit(0);
        if (wait(NULL) < 0 || write(ends[1], "", 1) != 1) _exit(1);
      }
    close(ends[1]);
    if (read(ends[0], bytes, sizeof bytes) <= 0) exit(98);
    kill(pid, SIGKILL);
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) exit(98);
    close(ends[0]);
  }
}

/* A program that nothing can be loaded into: STATIC names one. */
static void way_static(void) {
  const char *path = getenv("STATIC");
  pid_t pid;
  if (spawn(&pid, path, (const char *const[]){path, NULL}) != 0) fail("posix_spawn");
  await(pid, 44);
  pid = fork();
  if (pid == 0) {
    execl(path, path, (char *)NULL);
    _exit(127);
  }
  await(pid, 44);
}

static void way_returns(void) {
  pid_t pid = fork();
  if (pid == 0) {
    execl("/proc/self/exe", "ways", "return", (char *)NULL);
    _exit(127);
  }
  await(pid, 41);
}

/* It is gone before anybody can ask for its status. */
static void way_returns_unwaited(void) {
  int ends[2];
  signal(SIGCHLD, SIG_IGN);
  if (pipe(ends) != 0) fail("pipe");
  if (fork() == 0) {
    execl("/proc/self/exe", "ways", "return", (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  char byte;
  if (read(ends[0], &byte, 1) != 0) exit(98);
}

static void way_closes_all(void) {
  if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) fail("close_range");
  way_fork();
}

static void way_thousand(void) {
  for (int i = 0; i < 1000; i++) {
    pid_t pid = fork();
    if (pid == 0) _exit(i % 100);
    await(pid, i % 100);
  }
}

static void way_deep(void) {
  for (int depth = 0; depth < 100; depth++) {
    pid_t pid = fork();
    if (pid != 0) {
      await(pid, 42);
      if (depth > 0) _exit(42);
      return;
    }
  }
  _exit(42);
}

/* A child that outlives the command. */
static void way_outlives(void) {
  int ends[2];
  if (pipe(ends) != 0) fail("pipe");
  if (fork() == 0) {
    close(ends[1]);
    char byte;
    if (read(ends[0], &byte, 1) != 0) _exit(1); /* until the command is gone */
    stay(200);                                  /* and what watches it has looked */
    _exit(43);
  }
}

static void nothing(void) {
}

static void slow(void) {
  usleep(20000); /* this is what is measured, and at least that */
}

static void way_handlers(void) {
  pthread_atfork(slow, nothing, nothing);
  pthread_atfork(nothing, NULL, slow);
  way_fork();
}

/* ---- Which ---- */

#define WAY(name) \
  { #name, way_##name }
static const struct {
  const char *name;
  void (*make)(void);
} ways[] = {
    WAY(fork),
    WAY(vfork),
    WAY(vfork_exit),
    WAY(posix_spawn),
    WAY(spawn_fails),
    WAY(system),
    WAY(popen),
    WAY(daemon),
    WAY(forkpty),
    WAY(_Fork),
    WAY(clone),
    WAY(clone_borrowing),
    WAY(syscall_fork),
    WAY(syscall_clone),
    WAY(syscall_clone3),
    WAY(instruction),
    WAY(double_fork),
    WAY(failed_fork),
    WAY(threads),
    WAY(beside_threads),
    WAY(execs),
    WAY(killed),
    WAY(killed_unwaited),
    WAY(returns),
    WAY(killed_anywhere),
    WAY(returns_unwaited),
    WAY(static),
    WAY(closes_all),
    WAY(thousand),
    WAY(deep),
    WAY(outlives),
    WAY(handlers),
};

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "return") == 0) return 41;
  for (int i = 1; i < argc; i++) {
    size_t way = 0;
    while (way < sizeof ways / sizeof ways[0] && strcmp(ways[way].name, argv[i]) != 0) way++;
    if (way == sizeof ways / sizeof ways[0]) return 97;
    ways[way].make();
  }
  return 0;
}
