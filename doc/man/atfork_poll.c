/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* _Fork() */
#include <atfork.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void greet(void *data) {
  (void)data;
  puts("the child callback runs");
}

int main(void) {
  if (atfork_register_after_fork(greet, NULL) == 0) return 1;
  pid_t pid = _Fork(); /* runs no fork handlers */
  if (pid == 0) {
    printf("generation %d\n", (int)atfork_generation());
    printf("callbacks: %d\n", atfork_poll());
    printf("once more: %d\n", atfork_poll());
    return 0;
  }
  return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}

/* prints:
generation 1
the child callback runs
callbacks: 1
once more: 0
*/
