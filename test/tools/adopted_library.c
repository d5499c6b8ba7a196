/* SPDX-License-Identifier: MIT */
/* A program that uses the library itself, linked statically or not, beside pthread_atfork(). */
#include <atfork.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *line) {
  if (write(1, line, strlen(line)) < 0 || write(1, "\n", 1) < 0) _exit(9);
}

static void hook(void *line) {
  say(line);
}

static void handler(void) {
  say("handler");
}

#ifdef NEEDS_COPY
void need_copy(void);
#else
#define need_copy() ((void)0)
#endif

int main(void) {
  char before[] = "hook before", behind[] = "hook behind", line[64];
  int status;
  need_copy();
  atfork_register(&(struct atfork_hook){.child = hook, .data = before});
  pthread_atfork(NULL, NULL, handler);
  atfork_register(&(struct atfork_hook){.child = hook, .data = behind});
  pid_t pid = fork();
  if (pid != 0) return pid > 0 && waitpid(pid, &status, 0) == pid ? status : 1;
  snprintf(line, sizeof line, "generation %d", (int)atfork_generation());
  say(line);
  _exit(0);
}
