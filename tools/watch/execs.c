/* SPDX-License-Identifier: MIT */
/* exec, and the end of a process. */
#include <alloca.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "environment.h"
#include "explore.h"
#include "raw.h"
#include "watch.h"

NEXT(execve);
NEXT(execvpe);
NEXT(fexecve);
NEXT(exit);
NEXT(on_exit);
NEXT(wait);
NEXT(waitpid);
NEXT(waitid);
NEXT(wait3);
NEXT(wait4);

/* ---- exec ---- */

/* The id of the vfork() that made this process, if it uses its parent's memory; otherwise 0, and the process is
 * known. */
static uint64_t borrowed_by(void) {
  if (self_is_borrowed()) return fork_under_way.vfork;
  self_get();
  return 0;
}

static void note_exec(const char *path, char *const *argv, char *const *envp) {
  if (watch_log == NULL) return;
  struct text text = {.size = 0};
  text_add(&text, path);
  LOG(RECORD_EXEC, &text, NULL, borrowed_by(), (uint64_t)raw_getppid());
  enum unwatched why;
  if (!program_is_watchable(path, &why)) LOG(RECORD_UNWATCHED, &text, NULL, (uint64_t)why);
  stdio_settle(false);
  descriptors_before_exec(path, argv, envp);
}

static int note_failed(const char *path) {
  int saved = errno;
  struct text text = {.size = 0};
  text_add(&text, path);
  LOG(RECORD_EXEC_FAILED, &text, NULL, (uint64_t)saved);
  errno = saved;
  return -1;
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[]) {
  note_exec(path, argv, envp);
  ENVIRONMENT(path, envp);
  CALL(execve)(path, argv, envp);
  return note_failed(path);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) {
  char found[RECORD_TEXT / 2];
  const char *path = environment_search(file, found, sizeof found);
  note_exec(path, argv, envp);
  ENVIRONMENT(path, envp);
  CALL(execvpe)(file, argv, envp);
  return note_failed(file);
}

EXPORT int execv(const char *path, char *const argv[]) {
  return execve(path, argv, environ);
}

EXPORT int execvp(const char *file, char *const argv[]) {
  return execvpe(file, argv, environ);
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) {
  note_exec("a descriptor", argv, envp);
  ENVIRONMENT("", envp);
  CALL(fexecve)(fd, argv, envp);
  return note_failed("a descriptor");
}

/* The arguments of execl() and similar functions, as an array on the caller's stack; the list ends with NULL. */
#define COLLECT(argv, first, rest)                                        \
  do {                                                                    \
    va_list counting;                                                     \
    size_t count = 1;                                                     \
    va_start(rest, first);                                                \
    va_copy(counting, rest);                                              \
    while (va_arg(counting, char *) != NULL) count++;                     \
    va_end(counting);                                                     \
    (argv) = alloca((count + 1) * sizeof *(argv));                        \
    (argv)[0] = (char *)(uintptr_t)(first);                               \
    for (size_t i = 1; i <= count; i++) (argv)[i] = va_arg(rest, char *); \
  } while (0)

EXPORT int execl(const char *path, const char *first, ...) {
  va_list rest;
  char **argv;
  COLLECT(argv, first, rest);
  va_end(rest);
  return execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *first, ...) {
  va_list rest;
  char **argv;
  COLLECT(argv, first, rest);
  va_end(rest);
  return execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *first, ...) {
  va_list rest;
  char **argv;
  COLLECT(argv, first, rest);
  char *const *envp = va_arg(rest, char *const *);
  va_end(rest);
  return execve(path, argv, envp);
}

/* ---- The end ---- */

static void note_exit(int status, enum exit_by by) {
  if (watch_log == NULL) return;
  self_get_at_end();
  LOG(RECORD_EXIT, NULL, NULL, (uint64_t)(unsigned)status, by, borrowed_by(), (uint64_t)raw_getppid());
}

/* The last handler to run, as it is registered before all others.  A return from main() runs it, too: it calls the C
 * library's own exit(). */
static void note_last(int status, void *unused) {
  (void)unused;
  stdio_at_exit();
  note_exit(status, EXIT_RETURN);
}

__attribute__((constructor(105))) static void watch_exit(void) {
  if (watch_log != NULL) CALL(on_exit)(note_last, NULL);
}

EXPORT _Noreturn void _exit(int status) {
  stdio_settle(false);
  note_exit(status, EXIT_UNDERSCORE);
  raw_exit(status);
}

EXPORT _Noreturn void _Exit(int status) {
  stdio_settle(false);
  note_exit(status, EXIT_UNDERSCORE);
  raw_exit(status);
}

EXPORT _Noreturn void exit(int status) {
  note_exit(status, EXIT_EXIT);
  CALL(exit)(status);
  __builtin_unreachable();
}

static void note_waited(pid_t pid, int status) {
  if (watch_log == NULL || pid <= 0) return;
  if (!WIFEXITED(status) && !WIFSIGNALED(status)) return;
  LOG(RECORD_WAITED, NULL, NULL, (uint64_t)pid, (uint64_t)(unsigned)status);
}

EXPORT pid_t wait(int *status) {
  int own = 0;
  pid_t pid;
  do pid = CALL(wait)(&own);
  while (explore_owns(pid));
  note_waited(pid, own);
  if (status != NULL && pid > 0) *status = own;
  return pid;
}

EXPORT pid_t waitpid(pid_t which, int *status, int options) {
  int own = 0;
  pid_t pid;
  do pid = CALL(waitpid)(which, &own, options);
  while (explore_owns(pid));
  note_waited(pid, own);
  if (status != NULL && pid > 0) *status = own;
  return pid;
}

EXPORT pid_t wait3(int *status, int options, struct rusage *usage) {
  int own = 0;
  pid_t pid;
  do pid = CALL(wait3)(&own, options, usage);
  while (explore_owns(pid));
  note_waited(pid, own);
  if (status != NULL && pid > 0) *status = own;
  return pid;
}

EXPORT pid_t wait4(pid_t which, int *status, int options, struct rusage *usage) {
  int own = 0;
  pid_t pid;
  do pid = CALL(wait4)(which, &own, options, usage);
  while (explore_owns(pid));
  note_waited(pid, own);
  if (status != NULL && pid > 0) *status = own;
  return pid;
}

/* As waitpid() would tell it. */
static int status_of(const siginfo_t *info) {
  if (info->si_code == CLD_EXITED) return (info->si_status & 0xff) << 8;
  if (info->si_code == CLD_KILLED) return info->si_status & 0x7f;
  return info->si_code == CLD_DUMPED ? (info->si_status & 0x7f) | 0x80 : 0x7f;
}

EXPORT int waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
  siginfo_t own = {.si_pid = 0};
  siginfo_t *told = info == NULL ? &own : info;
  int result;
  do result = CALL(waitid)(type, id, told, options);
  while (result == 0 && explore_owns(told->si_pid));
  if (result == 0 && (options & WEXITED) != 0 && (options & WNOWAIT) == 0) note_waited(told->si_pid, status_of(told));
  return result;
}
