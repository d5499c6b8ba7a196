/* SPDX-License-Identifier: MIT */
/* What a program sees of the C library, and of others: unchanged.c CASE [PLUGIN...].  It tells that by its output. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *what, int result, int error) {
  printf("%s: %d, %s\n", what, result, strerror(error));
}

static void closes_nothing(char **arguments) {
  (void)arguments;
  DIR *volatile none = NULL;
  errno = 0;
  int result = closedir(none);
  tell("closedir", result, errno);
}

static void closes_memory(char **arguments) {
  (void)arguments;
  char bytes[] = "text";
  FILE *file = fmemopen(bytes, sizeof bytes, "r");
  errno = 0;
  int result = file == NULL ? -2 : fclose(file);
  tell("fclose", result, errno);
}

static void makes_nothing(char **arguments) {
  static char stack[65536];
  int (*volatile none)(void *) = NULL;
  (void)arguments;
  errno = 0;
  int result = clone(none, stack + sizeof stack, SIGCHLD, NULL);
  tell("clone", result, errno);
}

static void starts_nothing(char **arguments) {
  const char *volatile none = NULL;
  char *empty[] = {NULL};
  pid_t pid;
  errno = 0;
  int result = execve(none, arguments, empty);
  tell("execve", result, errno);
  result = posix_spawn(&pid, none, NULL, NULL, arguments, empty);
  tell("posix_spawn", result, 0);
}

/* To one that has the program and what that needs, and nothing else. */
static void changes_root(char **arguments) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) {
    if (chroot(arguments[0]) != 0 || chdir("/") != 0) _exit(77);
    execl(arguments[1], arguments[1], (char *)NULL);
    _exit(97);
  }
  if (waitpid(pid, &status, 0) != pid) exit(96);
  if (status != 0) exit(WEXITSTATUS(status));
}

/* After that, a system call of its own but read() and write() has the kernel kill it. */
static void may_only_read(char **arguments) {
  int ends[2], status;
  char bytes[2] = "x";
  (void)arguments;
  if (pipe(ends) != 0 || write(ends[1], bytes, 1) != 1) exit(96);
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[1]);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0) syscall(SYS_exit, 77);
    for (int i = 0; i < 2; i++) status = (int)read(ends[0], bytes, sizeof bytes);
    syscall(SYS_exit, status);
  }
  close(ends[1]);
  if (waitpid(pid, &status, 0) != pid) exit(96);
  tell("read", status, 0);
}

/* Nobody can have memory of that file system any more. */
static void fills_memory(char **arguments) {
  static const char page[4096];
  int fd = open(arguments[0], O_CREAT | O_EXCL | O_WRONLY, 0600), status = 0;
  if (fd < 0 || unlink(arguments[0]) != 0) exit(96);
  while (write(fd, page, sizeof page) > 0) continue;
  for (int i = 0; i < 3000 && status == 0; i++) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (waitpid(pid, &status, 0) != pid) exit(96);
  }
  tell("children", status, 0);
}

/* Each plugin is linked with a copy of the library of its own. */
static void has_two_copies(char **plugins) {
  for (; *plugins != NULL; plugins++) {
    void *plugin = dlopen(*plugins, RTLD_NOW | RTLD_LOCAL);
    void *found = plugin == NULL ? NULL : dlsym(plugin, "which_copy");
    int (*which_copy)(void);
    if (found == NULL) exit(97);
    memcpy(&which_copy, &found, sizeof which_copy);
    printf("copy %d\n", which_copy());
  }
}

static const struct {
  const char *name;
  void (*function)(char **arguments);
} cases[] = {
    {"closes-nothing", closes_nothing}, {"closes-memory", closes_memory},   {"makes-nothing", makes_nothing},
    {"starts-nothing", starts_nothing}, {"changes-root", changes_root},     {"may-only-read", may_only_read},
    {"fills-memory", fills_memory},     {"has-two-copies", has_two_copies},
};

int main(int count, char **arguments) {
  for (size_t i = 0; count > 1 && i < sizeof cases / sizeof cases[0]; i++) {
    if (strcmp(cases[i].name, arguments[1]) != 0) continue;
    cases[i].function(arguments + 2);
    return 0;
  }
  return 98;
}
