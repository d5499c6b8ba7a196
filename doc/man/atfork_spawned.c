/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int work(const char *token) {
  char lineage[1024];
  if (atfork_spawned(token) != 0) {
    perror("atfork_spawned");
    return 1;
  }
  atfork_lineage(lineage, sizeof lineage);
  printf("worker %s\n", lineage);
  return 0;
}

int main(int argc, char **argv) {
  char token[1024];
  if (argc == 2) return work(argv[1]);
  for (int i = 0; i < 2; i++) {
    pid_t pid;
    int size = atfork_token(token, sizeof token);
    if (size < 0 || size >= (int)sizeof token) return 1;
    char *arguments[] = {argv[0], token, NULL};
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments,
                    environ) != 0)
      return 1;
    if (waitpid(pid, NULL, 0) != pid) return 1;
  }
  return 0;
}

/* prints:
worker 0.1
worker 0.2
*/
