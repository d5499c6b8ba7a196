/* SPDX-License-Identifier: MIT */
/* A program that shares state across a fork, or takes care not to: `state CASE [FUNCTION]`. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state.h"

_Noreturn void broken(const char *file, int line, const char *what) {
  fprintf(stderr, "%s:%d: %s\n", file, line, what);
  _exit(99);
}

char *self;
const char *which;

bool is(const char *name) {
  return strcmp(which, name) == 0;
}

void wait_for(pid_t child) {
  int status;
  must(waitpid(child, &status, 0) == child);
  must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void in_both(void (*function)(void)) {
  pid_t child = fork();
  if (child == 0) {
    function();
    _exit(0);
  }
  wait_for(child);
  function();
}

static void (*find(const struct state_case *cases, const char *name))(void) {
  for (; cases->name != NULL; cases++)
    if (strcmp(cases->name, name) == 0) return cases->function;
  return NULL;
}

int main(int count, char **arguments) {
  static const struct state_case *const all[] = {random_cases, descriptor_cases, started_cases, exit_cases};
  self = arguments[0];
  which = count > 2 ? arguments[2] : "";
  for (size_t i = 0; count > 1 && i < sizeof all / sizeof all[0]; i++) {
    void (*function)(void) = find(all[i], arguments[1]);
    if (function == NULL) continue;
    function();
    return 0;
  }
  return 98;
}
