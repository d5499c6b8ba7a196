/* SPDX-License-Identifier: MIT */
/* What a user's program is like: registers a hook, forks, and has it run. */
#define _POSIX_C_SOURCE 200809L
#include <atfork.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int ran;

static void child(void *by) {
  ran += *(int *)by;
}

int main(void) {
  int by = 3, status = 1;
  char lineage[32];
  if (atfork_register(&(struct atfork_hook){.name = "consumer", .child = child, .data = &by}) == 0) return 1;
  pid_t pid = fork();
  if (pid == 0) {
    atfork_lineage(lineage, sizeof lineage);
    _exit(ran == 3 && atfork_generation() == 1 && strcmp(lineage, "0.1") == 0 ? 0 : 1);
  }
  if (waitpid(pid, &status, 0) != pid || status != 0) return 1;
  printf("atfork %s: one hook ran once in the child\n", atfork_version());
  return 0;
}
