/* SPDX-License-Identifier: MIT */
/* Promise 6: forks in atexit functions that run after and before the hooks are gone, and in a destructor. */
#include <atfork.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int ran;

static void child(void *unused) {
  (void)unused;
  ran++;
}

static void fork_expecting(int expected) {
  int status = 1;
  pid_t pid = fork();
  if (pid == 0) _exit(ran == expected ? 0 : 1);
  if (waitpid(pid, &status, 0) == pid && status == 0) return;
  fprintf(stderr, "expected %d hooks to run\n", expected);
  _exit(1);
}

static void with_hooks(void) {
  fork_expecting(1000);
}

static void without_hooks(void) {
  fork_expecting(0);
}

__attribute__((destructor)) static void at_the_end(void) {
  fork_expecting(0);
}

int main(void) {
  atexit(without_hooks);
  for (int i = 0; i < 1000; i++)
    if (atfork_register_after_fork(child, NULL) == 0) return 1;
  atexit(with_hooks);
  return 0;
}
