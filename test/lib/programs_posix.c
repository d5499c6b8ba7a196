/* SPDX-License-Identifier: MIT */
/* Programs that tests run, by posix_spawn(). */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs.h"

extern char **environ;

void set_variable(const char *name, const char *value) {
  if ((value == NULL ? unsetenv(name) : setenv(name, value, 1)) != 0) abort();
}

int open_temporary(void) {
  char path[] = "/tmp/atfork-test-XXXXXX";
  int file = mkostemp(path, O_CLOEXEC);
  if (file >= 0) unlink(path);
  return file;
}

int open_pipe(int ends[2]) {
  return pipe2(ends, O_CLOEXEC);
}

intptr_t start_program(const char *const *arguments, int out, int err) {
  posix_spawn_file_actions_t actions;
  pid_t pid;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  int failure = posix_spawn(&pid, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  return failure == 0 ? pid : -1;
}

int wait_for_program(intptr_t started) {
  int status;
  pid_t ended;
  if (started < 0) return -1;
  do ended = waitpid((pid_t)started, &status, 0);
  while (ended < 0 && errno == EINTR);
  return ended == started && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
