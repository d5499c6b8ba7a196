/* SPDX-License-Identifier: MIT */
/*
 * exec, and the end of a process.
 *
 * What is needed for the new program to be watched goes into its environment, as a program may have made one of its
 * own. A child of vfork() calls this on the parent's memory: the new environment lies on the stack.
 */
#include <alloca.h>
#include <elf.h>
#include <link.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

extern char **environ;

/* ---- The environment ---- */

static const char preload[] = "LD_PRELOAD=";
static const char log_path[] = "ATFORK_WATCH_LOG=";

/* As this process got them: "LD_PRELOAD=...", "ATFORK_WATCH_LOG=...", "ATFORK_WATCH_LIBRARY=...". */
static char kept[2][4096];
static char library[4096];

static void keep(char *where, const char *name, size_t length) {
  const char *value = watch_variable(name);
  if (value == NULL || length + strlen(value) >= sizeof kept[0]) return;
  memcpy(where, name, length - 1);
  where[length - 1] = '=';
  memcpy(where + length, value, strlen(value) + 1);
}

__attribute__((constructor(104))) static void keep_environment(void) {
  if (watch_log == NULL) return;
  keep(kept[0], "LD_PRELOAD", sizeof preload - 1);
  keep(kept[1], "ATFORK_WATCH_LOG", sizeof log_path - 1);
  const char *path = watch_variable("ATFORK_WATCH_LIBRARY");
  if (path != NULL && strlen(path) < sizeof library) memcpy(library, path, strlen(path) + 1);
}

static bool begins(const char *string, const char *with) {
  return strncmp(string, with, strlen(with)) == 0;
}

static size_t count_strings(char *const *strings) {
  size_t count = 0;
  while (strings != NULL && strings[count] != NULL) count++;
  return count;
}

/* Whether the program would be watched with this environment as it is. */
static bool is_whole(char *const *envp) {
  bool preloads = false, logs = false;
  for (; envp != NULL && *envp != NULL; envp++) {
    preloads |= begins(*envp, preload) && strstr(*envp, library) != NULL;
    logs |= strcmp(*envp, kept[1]) == 0;
  }
  return preloads && logs;
}

/* `full` has room for two more than envp.  A preload of the program's own comes after ours, in `joined`. */
static void complete(char **full, char *const *envp, char *joined) {
  size_t count = 0;
  char *preloads = kept[0];
  for (; envp != NULL && *envp != NULL; envp++) {
    if (begins(*envp, log_path)) continue;
    if (!begins(*envp, preload)) {
      full[count++] = *envp;
    } else if (strstr(*envp, library) != NULL) {
      preloads = *envp;
    } else {
      stpcpy(stpcpy(stpcpy(stpcpy(joined, preload), library), ":"), *envp + sizeof preload - 1);
      preloads = joined;
    }
  }
  full[count++] = preloads;
  full[count++] = kept[1];
  full[count] = NULL;
}

static size_t joined_size(char *const *envp) {
  size_t size = sizeof preload + sizeof library + 2;
  for (; envp != NULL && *envp != NULL; envp++)
    if (begins(*envp, preload)) size += strlen(*envp);
  return size;
}

/* On the caller's stack. */
#define COMPLETE(envp)                                                \
  do {                                                                \
    if (watch_log != NULL && library[0] != '\0' && !is_whole(envp)) { \
      char **full = alloca((count_strings(envp) + 3) * sizeof *full); \
      complete(full, envp, alloca(joined_size(envp)));                \
      (envp) = full;                                                  \
    }                                                                 \
  } while (0)

/* ---- Programs that cannot be watched ---- */

static bool has_interpreter(int fd, const ElfW(Ehdr) * header) {
  for (unsigned i = 0; i < header->e_phnum; i++) {
    ElfW(Phdr) segment;
    long at = (long)header->e_phoff + (long)i * header->e_phentsize;
    if (raw_call(SYS_pread64, fd, (long)&segment, sizeof segment, at, 0, 0) != (long)sizeof segment) return true;
    if (segment.p_type == PT_INTERP) return true;
  }
  return false;
}

static void look_at(const char *path) {
  struct stat status;
  int fd = raw_open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ElfW(Ehdr) header;
  int why = -1;
  if (raw_read(fd, &header, sizeof header) == (long)sizeof header && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0) {
    if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
      why = UNWATCHED_FOREIGN;
    else if (!has_interpreter(fd, &header))
      why = UNWATCHED_STATIC;
  }
  if (fstat(fd, &status) == 0 && (((status.st_mode & S_ISUID) != 0 && status.st_uid != geteuid()) ||
                                  ((status.st_mode & S_ISGID) != 0 && status.st_gid != getegid())))
    why = UNWATCHED_SETUID;
  raw_close(fd);
  if (why < 0) return;
  struct text text = {.size = 0};
  text_add(&text, path);
  LOG(RECORD_UNWATCHED, &text, NULL, (uint64_t)why);
}

/* ---- exec ---- */

/* The id of the vfork() that made this process, where it has borrowed its parent's memory; else 0, and the process is
 * known. */
static uint64_t borrowed_by(void) {
  if (self_is_borrowed()) return fork_under_way.vfork;
  self_get();
  return 0;
}

static void note_exec(const char *path) {
  if (watch_log == NULL) return;
  struct text text = {.size = 0};
  text_add(&text, path);
  LOG(RECORD_EXEC, &text, NULL, borrowed_by(), (uint64_t)raw_getppid());
  if (strchr(path, '/') != NULL) look_at(path);
  if (watches(WATCH_DESCRIPTORS)) descriptors_before_exec(path);
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
  note_exec(path);
  COMPLETE(envp);
  CALL(execve)(path, argv, envp);
  return note_failed(path);
}

/* The file that execvp() finds in PATH, or the name itself. */
static const char *search(const char *file, char *buffer, size_t size) {
  const char *path = strchr(file, '/') == NULL ? getenv("PATH") : NULL;
  while (path != NULL && *path != '\0') {
    size_t length = strcspn(path, ":");
    if (length != 0 && length + 1 + strlen(file) < size) {
      memcpy(buffer, path, length);
      buffer[length] = '/';
      strcpy(buffer + length + 1, file);
      if (raw_call(SYS_faccessat, AT_FDCWD, (long)buffer, X_OK, 0, 0, 0) == 0) return buffer;
    }
    path += length + (path[length] == ':');
  }
  return file;
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) {
  char found[RECORD_TEXT / 2];
  note_exec(search(file, found, sizeof found));
  COMPLETE(envp);
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
  note_exec("a descriptor");
  COMPLETE(envp);
  CALL(fexecve)(fd, argv, envp);
  return note_failed("a descriptor");
}

/* The arguments of execl() and its like, as an array on the caller's stack; the list ends with NULL. */
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

/* The last of all handlers, as ours is registered before all others: of a return from main() too, which calls the C
 * library's own exit(). */
static void note_last(int status, void *unused) {
  (void)unused;
  note_exit(status, EXIT_RETURN);
}

__attribute__((constructor(105))) static void watch_exit(void) {
  if (watch_log != NULL) CALL(on_exit)(note_last, NULL);
}

EXPORT _Noreturn void _exit(int status) {
  note_exit(status, EXIT_UNDERSCORE);
  raw_exit(status);
}

EXPORT _Noreturn void _Exit(int status) {
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
  pid_t pid = CALL(wait)(&own);
  note_waited(pid, own);
  if (status != NULL && pid > 0) *status = own;
  return pid;
}

EXPORT pid_t waitpid(pid_t which, int *status, int options) {
  int own = 0;
  pid_t pid = CALL(waitpid)(which, &own, options);
  note_waited(pid, own);
  if (status != NULL && pid > 0) *status = own;
  return pid;
}

EXPORT pid_t wait3(int *status, int options, struct rusage *usage) {
  int own = 0;
  pid_t pid = CALL(wait3)(&own, options, usage);
  note_waited(pid, own);
  if (status != NULL && pid > 0) *status = own;
  return pid;
}

EXPORT pid_t wait4(pid_t which, int *status, int options, struct rusage *usage) {
  int own = 0;
  pid_t pid = CALL(wait4)(which, &own, options, usage);
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
  int result = CALL(waitid)(type, id, info == NULL ? &own : info, options);
  const siginfo_t *told = info == NULL ? &own : info;
  if (result == 0 && (options & WEXITED) != 0 && (options & WNOWAIT) == 0) note_waited(told->si_pid, status_of(told));
  return result;
}
