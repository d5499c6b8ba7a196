/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Children inherit the counter, but have served no request. */
static void start_from_zero(void *served) {
  *(int *)served = 0;
}

int main(void) {
  static int served = 3;
  if (atfork_register_after_fork(start_from_zero, &served) == 0)
    return 1;
  pid_t pid = fork();
  if (pid == 0) {
    printf("child: %d served\n", served);
    return 0;
  }
  if (waitpid(pid, NULL, 0) != pid) return 1;
  printf("parent: %d served\n", served);
  return 0;
}

/* prints:
child: 0 served
parent: 3 served
*/
